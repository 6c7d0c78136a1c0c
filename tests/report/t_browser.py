#!/usr/bin/env python3
"""The reports of the designs in headless Chromium: no console error, nothing requested from outside, no text over text in a figure, no sideways
scrolling at two widths, contrast of WCAG AA in light and dark, the choice of model, sorting, values by keyboard, a page that is whole without
its script, and a print."""
import os, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chromium
import fixture
import page

if not chromium.PROGRAM:
    print('SKIP: no Chromium here')
    sys.exit(77)

CHECK = r"""
(function () {
    function boxes(svg) {
        return [].slice.call(svg.querySelectorAll('text')).map(function (t) {
            var b = t.getBoundingClientRect();
            return {x: b.left, y: b.top, r: b.right, b: b.bottom, t: t.textContent};
        }).filter(function (b) { return b.r > b.x; });
    }
    function rgb(c) { return (c.match(/[\d.]+/g) || []).map(Number); }
    function light(c) {
        var v = c.slice(0, 3).map(function (x) { x /= 255; return x <= 0.03928 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4); });
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
    }
    function contrast(a, b) { var x = light(a), y = light(b); return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); }
    function ground(e) {
        for (; e; e = e.parentElement) { var c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; }
        return [255, 255, 255];
    }
    var out = {overlap: [], outside: [], cut: [], contrast: [], wide: document.documentElement.scrollWidth - window.innerWidth, figures: 0};
    [].forEach.call(document.querySelectorAll('figure svg'), function (svg) {
        var s = svg.getBoundingClientRect(), b = boxes(svg);
        if (!s.width) return;
        out.figures++;
        b.forEach(function (p, i) {
            if (p.x < s.left - 1 || p.r > s.right + 1 || p.y < s.top - 1 || p.b > s.bottom + 1) out.outside.push(p.t);
            b.slice(i + 1).forEach(function (q) {
                var w = Math.min(p.r, q.r) - Math.max(p.x, q.x), h = Math.min(p.b, q.b) - Math.max(p.y, q.y);
                if (w > 1 && h > Math.min(p.b - p.y, q.b - q.y) * 0.34) out.overlap.push(svg.closest('figure').id + ': ' + p.t + ' / ' + q.t);
            });
        });
        if (window.innerWidth > 1200 && svg.parentNode.scrollWidth > svg.parentNode.clientWidth + 1) out.cut.push(svg.closest('figure').id);
    });
    [].forEach.call(document.querySelectorAll('body *'), function (e) { /* all that has words of its own */
        var words = [].some.call(e.childNodes, function (n) { return n.nodeType === 3 && n.textContent.trim(); });
        if (!words || !e.getClientRects().length || /^(SCRIPT|STYLE|OPTION|TITLE|DESC)$/i.test(e.tagName)) return;
        var style = getComputedStyle(e), c = contrast(rgb(e.closest('svg') ? style.fill : style.color), ground(e.closest('svg') || e));
        if (c < 4.5) out.contrast.push(e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + c.toFixed(2));
    });
    ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'].forEach(function (s) {
        var e = document.createElement('i');
        e.style.color = 'var(--' + s + ')';
        document.body.appendChild(e);
        var c = contrast(rgb(getComputedStyle(e).color), ground(document.body));
        if (c < 3) out.contrast.push(s + ' ' + c.toFixed(2));
        e.remove();
    });
    return out;
}())
"""

CHOOSE = r"""
(function () {
    var model = document.querySelector('#controls select[name=model]'), out = {first: model.value};
    var seen = function (s) { return [].slice.call(document.querySelectorAll(s)).filter(function (e) { return e.getClientRects().length; }); };
    out.opened = seen('figure').length;
    model.value = [].slice.call(model.options).map(function (o) { return o.value; }).filter(function (v) { return v && v !== model.value; })[0];
    model.dispatchEvent(new Event('change'));
    out.others = seen('[data-model]').filter(function (e) { return e.getAttribute('data-model') !== model.value; }).length;
    out.left = seen('figure[data-model]').length;
    document.querySelector('#controls button').click();
    out.all = seen('figure').length;
    out.every = document.querySelectorAll('figure').length;
    var b = document.querySelector('#auc-table thead th.num:last-child button');
    b.click();
    var v = [].slice.call(document.querySelectorAll('#auc-table tbody tr')).map(function (r) { return parseFloat(r.lastElementChild.getAttribute('data-sort')); });
    out.sorted = v.length > 2 && v.every(function (x, i) { return !i || !(x < v[i - 1]); });
    out.said = b.closest('th').getAttribute('aria-sort');
    var plot = seen('#roc .plot')[0];
    plot.focus();
    plot.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true, cancelable: true}));
    out.live = document.getElementById('live').textContent;
    out.tip = (plot.querySelector('.tip') || {}).textContent;
    return out;
}())
"""


def look(browser, path, where, width, dark=False, script=True, before=None):
    browser.view(width, dark=dark)
    complaints = browser.open(path, script)
    assert not complaints, f'{where}: {complaints[:3]}'
    if before:
        browser.ask(before)
    a = browser.ask(CHECK)
    assert a['figures'] > 0, where
    assert a['wide'] <= 0, f'{where}: {a["wide"]} pixels too wide'
    for fault in ('overlap', 'outside', 'cut', 'contrast'):
        assert not a[fault], f'{where}: {fault}: {a[fault][:6]}'
    return a['figures']


def main():
    browser = chromium.Browser()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for job, scale, extra in (('demo', 0.35, 'cam: {}\n'), ('liver-mri', 0.1, ''), ('renal-ct', 0.4, ''), ('spine-ct', 0.15, ''), ('spine-mri', 0.2, ''),
                                      ('renal-us', 0.2, ''), ('brain-mr', 0.4, '')):
                db = fixture.make(folder, job, scale, extra)
                out = os.path.join(folder, job)
                fixture.call('report', db, '-o', out)
                page.check(out)
                path = os.path.join(out, 'index.html')
                few = look(browser, path, f'{job} at 1280', 1280)
                narrow = look(browser, path, f'{job} at 420, dark', 420, dark=True)
                every = look(browser, path, f'{job} at 1280, without script', 1280, script=False)
                assert few == narrow <= 20 and few <= every, (few, narrow, every)
                if job in ('demo', 'liver-mri'):
                    browser.open(path)
                    a = browser.ask(CHOOSE)
                    assert a['first'] and a['others'] == 0 and a['left'] > 0, f'{job}: {a}'
                    assert a['opened'] < a['all'] == a['every'], f'{job}: {a}'
                    assert a['sorted'] and a['said'] == 'ascending', f'{job}: {a}'
                    assert a['live'] == a['tip'] and 'sensitivity' in a['live'], f'{job}: {a}'
                    fixture.call('report', db, '-o', out + '-public', '--public')
                    look(browser, os.path.join(out + '-public', 'index.html'), f'{job}, public', 1280)
                if job == 'demo':
                    pdf = os.path.join(folder, 'print.pdf')
                    browser.open(path)
                    browser.pdf(pdf)
                    assert os.path.getsize(pdf) > 50000
                    if os.environ.get('RAD_SHOTS'):
                        browser.shot(os.path.join(os.environ['RAD_SHOTS'], job + '.png'))
                print(f'{job}: {few} figures at first, {every} in all')
    finally:
        browser.close()


main()
