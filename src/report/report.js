(function () {
    'use strict';
    var KEYS = ['unit', 'model', 'class', 'cohort', 'center'];
    var bar = document.getElementById('controls');
    var tagged = [].slice.call(document.querySelectorAll(KEYS.map(function (k) { return '[data-' + k + ']'; }).join(',')));

    /* choose: an element is shown unless one of its tags differs from a choice */
    function apply() {
        var want = {};
        [].forEach.call(bar.querySelectorAll('select'), function (s) { want[s.name] = s.value; });
        tagged.forEach(function (e) {
            var off = KEYS.some(function (k) {
                var have = e.getAttribute('data-' + k);
                return want[k] && have !== null && have !== want[k];
            });
            if (off) e.setAttribute('data-off', ''); else e.removeAttribute('data-off');
        });
        [].forEach.call(document.querySelectorAll('.table-wrap'), function (w) { /* a table none of whose rows is left */
            var rows = [].slice.call(w.querySelectorAll('tbody tr'));
            var none = rows.length > 0 && rows.every(function (r) { return r.hasAttribute('data-off'); });
            [w, w.previousElementSibling, w.nextElementSibling].forEach(function (e, i) {
                if (!e || (i === 1 && e.className !== 'filter') || (i === 2 && e.className !== 'source')) return;
                if (none) e.setAttribute('data-off', ''); else e.removeAttribute('data-off');
            });
        });
    }
    if (bar) {
        [].forEach.call(bar.querySelectorAll('select'), function (s) {
            s.addEventListener('change', apply);
        });
        bar.hidden = false;
        apply();
    }

    /* tables: sort by a column, and filter rows by a word */
    function key(row, i) {
        var c = row.children[i], n = c.getAttribute('data-sort');
        return n !== null ? parseFloat(n) : c.classList.contains('num') ? NaN : c.textContent.toLowerCase();
    }
    [].forEach.call(document.querySelectorAll('.table-wrap table'), function (table) {
        var body = table.tBodies[0], rows = [].slice.call(body.rows);
        if (rows.length < 3) return;
        [].forEach.call(table.tHead.rows[0].cells, function (th, i) {
            var b = document.createElement('button');
            b.type = 'button';
            b.textContent = th.textContent;
            th.textContent = '';
            th.appendChild(b);
            b.addEventListener('click', function () {
                var down = th.getAttribute('aria-sort') === 'ascending';
                [].forEach.call(table.tHead.rows[0].cells, function (o) { o.removeAttribute('aria-sort'); });
                th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
                rows.map(function (r, at) { return { r: r, k: key(r, i), at: at }; }).sort(function (x, y) {
                    var ux = x.k !== x.k, uy = y.k !== y.k; /* what is not known comes last either way */
                    if (ux || uy) return ux && uy ? x.at - y.at : ux ? 1 : -1;
                    var d = x.k < y.k ? -1 : x.k > y.k ? 1 : 0;
                    return (down ? -d : d) || x.at - y.at;
                }).forEach(function (o) { body.appendChild(o.r); });
            });
        });
        if (rows.length < 12) return;
        var label = document.createElement('label'), input = document.createElement('input');
        label.className = 'filter';
        label.appendChild(document.createTextNode('Filter rows'));
        input.type = 'search';
        label.appendChild(input);
        table.parentNode.parentNode.insertBefore(label, table.parentNode);
        input.addEventListener('input', function () {
            var w = input.value.toLowerCase();
            rows.forEach(function (r) { r.hidden = w !== '' && r.textContent.toLowerCase().indexOf(w) < 0; });
        });
    });

    /* figures: the value under the pointer */
    [].forEach.call(document.querySelectorAll('figure .plot'), function (plot) {
        var tip = null;
        plot.addEventListener('pointermove', function (e) {
            var m = e.target.closest && e.target.closest('[data-tip]');
            if (!m) {
                if (tip) { tip.remove(); tip = null; }
                return;
            }
            if (!tip) {
                tip = document.createElement('div');
                tip.className = 'tip';
                tip.setAttribute('aria-hidden', 'true');
                plot.appendChild(tip);
            }
            tip.textContent = m.getAttribute('data-tip');
            var box = plot.getBoundingClientRect(), x = e.clientX - box.left + 12;
            tip.style.left = Math.max(0, Math.min(x, box.width - tip.offsetWidth)) + 'px';
            tip.style.top = (e.clientY - box.top + 14) + 'px';
        });
        plot.addEventListener('pointerleave', function () { if (tip) { tip.remove(); tip = null; } });
    });
}());
