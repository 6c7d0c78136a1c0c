(function () {
    'use strict';
    var KEYS = ['unit', 'model', 'class', 'cohort', 'center'];
    var all = function (s, e) { return [].slice.call((e || document).querySelectorAll(s)); };
    var bar = document.getElementById('controls'), live = document.getElementById('live');
    var tagged = all(KEYS.map(function (k) { return '[data-' + k + ']'; }).join(','));

    function off(e, yes) { if (yes) e.setAttribute('data-off', ''); else e.removeAttribute('data-off'); }

    /* choose: an element is shown unless one of its tags differs from a choice */
    function apply() {
        var want = {};
        all('select', bar).forEach(function (s) { want[s.name] = s.value; });
        tagged.forEach(function (e) {
            off(e, KEYS.some(function (k) {
                var have = e.getAttribute('data-' + k);
                return want[k] && have !== null && have !== want[k];
            }));
        });
        all('.table-wrap').forEach(function (w) { /* a table none of whose rows is left */
            var rows = all('tbody tr', w), none = rows.length > 0 && rows.every(function (r) { return r.hasAttribute('data-off'); });
            off(w, none);
            [[w.previousElementSibling, 'filter'], [w.nextElementSibling, 'source']].forEach(function (o) {
                if (o[0] && o[0].className === o[1]) off(o[0], none);
            });
        });
        all('.table-wrap table').forEach(function (t) { /* a column that repeats one word, where the choice has said it */
            var rows = all('tbody tr:not([data-off])', t);
            all('thead th[data-may]', t).forEach(function (th) {
                var i = th.cellIndex, word = rows.length && rows[0].cells[i].textContent, select = bar.querySelector('select[name="' + th.textContent.toLowerCase() + '"]');
                var same = rows.length > 0 && select && select.value === word && rows.every(function (r) { return r.cells[i].textContent === word; });
                all('tr', t).forEach(function (r) { if (same) r.cells[i].setAttribute('data-same', ''); else r.cells[i].removeAttribute('data-same'); });
            });
            var filter = t.parentNode.previousElementSibling;
            if (filter && filter.className === 'filter') filter.hidden = rows.length < 12;
        });
        all('main > section').forEach(function (s) { /* a section of which the choice leaves nothing says so */
            var parts = all('figure, .table-wrap, .matrix', s), note = s.querySelector('.nothing');
            if (!parts.length) return;
            if (!note) {
                note = document.createElement('p');
                note.className = 'absent nothing';
                note.textContent = 'Nothing here is of this choice: choose another model, class or cohort, or show everything.';
                s.insertBefore(note, s.querySelector('h2').nextSibling);
            }
            note.hidden = parts.some(function (e) { return !e.hasAttribute('data-off'); });
        });
        var figures = all('figure'), shown = figures.filter(function (f) { return !f.hasAttribute('data-off'); }).length;
        document.getElementById('shown').textContent = shown + ' of ' + figures.length + ' figures shown';
    }
    if (bar && bar.querySelector('select')) {
        var first = all('select', bar).map(function (s) { return s.value; });
        var button = function (text, value) {
            var b = document.createElement('button');
            b.type = 'button';
            b.textContent = text;
            b.addEventListener('click', function () {
                all('select', bar).forEach(function (s, i) { s.value = value(i); });
                apply();
            });
            bar.insertBefore(b, document.getElementById('shown'));
        };
        all('select', bar).forEach(function (s) { s.addEventListener('change', apply); });
        button('Show everything', function () { return ''; });
        button('As at first', function (i) { return first[i]; });
        bar.hidden = false;
        apply();
    }

    /* a table of few rows is not broken by the end of a printed page */
    window.addEventListener('beforeprint', function () {
        all('.table-wrap').forEach(function (w) { w.classList.toggle('short', all('tbody tr:not([data-off])', w).length < 16); });
    });

    /* tables: sort by a column, and filter rows by a word */
    function key(row, i) {
        var c = row.children[i], n = c.getAttribute('data-sort');
        return n !== null ? parseFloat(n) : c.classList.contains('num') ? NaN : c.textContent.toLowerCase();
    }
    all('.table-wrap table').forEach(function (table) {
        var body = table.tBodies[0], rows = [].slice.call(body.rows);
        if (rows.length < 3) return;
        [].forEach.call(table.tHead.rows[0].cells, function (th, i) {
            var b = document.createElement('button');
            b.type = 'button';
            while (th.firstChild) b.appendChild(th.firstChild);
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
        label.appendChild(document.createTextNode('Filter rows of the table'));
        input.type = 'search';
        label.appendChild(input);
        table.parentNode.parentNode.insertBefore(label, table.parentNode);
        input.addEventListener('input', function () {
            var w = input.value.toLowerCase();
            rows.forEach(function (r) { r.hidden = w !== '' && r.textContent.toLowerCase().indexOf(w) < 0; });
        });
    });

    /* figures: the value under the pointer, and value by value with the arrow keys */
    all('figure .plot').forEach(function (plot) {
        var tip = null, at = -1;
        function hide() { if (tip) { tip.remove(); tip = null; } }
        function show(e, x, y) {
            if (!tip) {
                tip = document.createElement('div');
                tip.className = 'tip';
                tip.setAttribute('aria-hidden', 'true');
                plot.appendChild(tip);
            }
            tip.textContent = e.getAttribute('data-tip');
            tip.style.left = Math.max(0, Math.min(x, plot.clientWidth - tip.offsetWidth)) + plot.scrollLeft + 'px';
            tip.style.top = Math.max(0, Math.min(y, plot.clientHeight - tip.offsetHeight)) + 'px';
        }
        plot.addEventListener('pointermove', function (e) {
            var m = e.target.closest && e.target.closest('[data-tip]'), box = plot.getBoundingClientRect();
            if (m) show(m, e.clientX - box.left + 12, e.clientY - box.top + 14); else hide();
        });
        plot.addEventListener('pointerleave', hide);
        plot.addEventListener('blur', hide);
        plot.addEventListener('keydown', function (e) {
            var step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0, values = all('[data-tip]', plot);
            if (e.key === 'Escape') hide();
            if (!step || !values.length) return;
            e.preventDefault();
            at = (at + step + values.length) % values.length;
            var box = plot.getBoundingClientRect(), b = values[at].getBoundingClientRect();
            show(values[at], b.right - box.left + 6, b.bottom - box.top + 6);
            live.textContent = values[at].getAttribute('data-tip');
        });
    });

    /* what is printed is whole: checklists open, as they were afterwards */
    var folded = [];
    window.addEventListener('beforeprint', function () {
        folded = all('details.checklist:not([open])');
        folded.forEach(function (d) { d.open = true; });
    });
    window.addEventListener('afterprint', function () { folded.forEach(function (d) { d.open = false; }); });
}());
