#!/usr/bin/env python3
"""The reports in headless Chromium: no console error, nothing requested from outside, no text over text in a figure, no sideways scrolling,
contrast of WCAG AA in light and dark, controls and tables that work, and a page that is whole without its script."""
import json, os, re, shutil, subprocess, sys, tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixture

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
if not CHROMIUM:
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
    var out = {overlap: [], outside: [], contrast: [], wide: document.documentElement.scrollWidth - window.innerWidth, figures: 0};
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
    });
    ['p', 'td', 'th', 'dt', 'dd', 'h1', 'h2', 'h3', 'a', 'figcaption', 'summary', 'caption', 'code', 'label', '.absent', '.author', '.ci', '.muted'].forEach(function (s) {
        [].slice.call(document.querySelectorAll(s), 0, 20).forEach(function (e) {
            var c = contrast(rgb(getComputedStyle(e).color), ground(e));
            if (c < 4.5) out.contrast.push(s + ' ' + c.toFixed(2));
        });
    });
    ['s0', 's1', 's2', 's3', 's4', 's5', 's6', 's7'].forEach(function (s) {
        var e = document.createElement('i');
        e.style.color = 'var(--' + s + ')';
        document.body.appendChild(e);
        var c = contrast(rgb(getComputedStyle(e).color), ground(document.body));
        if (c < 3) out.contrast.push(s + ' ' + c.toFixed(2));
        e.remove();
    });
    if (SCRIPT) {
        var model = document.querySelector('#controls select[name=model]');
        if (model) {
            model.value = model.options[1].value;
            model.dispatchEvent(new Event('change'));
            out.chosen = [].slice.call(document.querySelectorAll('[data-model]')).filter(function (e) { return e.offsetParent && e.getAttribute('data-model') !== model.value; }).length;
            out.left = [].slice.call(document.querySelectorAll('figure[data-model]')).filter(function (e) { return e.offsetParent; }).length;
        }
        var b = document.querySelector('#internal-external-table thead th.num button');
        if (b) {
            b.click();
            var cell = b.closest('th').cellIndex;
            var v = [].slice.call(document.querySelectorAll('#internal-external-table tbody tr')).map(function (r) { return parseFloat(r.cells[cell].getAttribute('data-sort')); });
            out.sorted = v.every(function (x, i) { return !i || !(x < v[i - 1]); });
        }
        out.bar = !document.getElementById('controls').hidden;
    }
    var pre = document.createElement('pre');
    pre.id = 'answer';
    pre.textContent = JSON.stringify(out);
    document.body.appendChild(pre);
}());
"""


def browse(page, folder, width, dark, script=True):
    with open(page, encoding='utf-8') as f:
        text = f.read()
    if not script: # what a browser that runs no script shows
        text = re.sub(r'<script>.*?</script>', '', text, flags=re.S)
    text = text.replace('</body>', '<script>' + CHECK.replace('SCRIPT', 'true' if script else 'false') + '</script></body>')
    probe = os.path.join(folder, 'probe.html')
    with open(probe, 'w', encoding='utf-8') as f:
        f.write(text)
    shot = os.path.join(os.environ.get('RAD_SHOTS') or folder, f'{os.path.basename(os.path.dirname(page))}-{width}{"-dark" if dark else ""}.png')
    command = [CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-device-scale-factor=1', '--disable-extensions',
               f'--user-data-dir={os.path.join(folder, "profile")}', f'--window-size={width},2400', '--enable-logging=stderr', '--host-resolver-rules=MAP * ~NOTFOUND']
    if dark:
        command.append('--blink-settings=preferredColorScheme=0')
    r = subprocess.run([*command, '--dump-dom', f'--screenshot={shot}', 'file://' + probe], capture_output=True, text=True, timeout=120)
    console = [line for line in r.stderr.splitlines() if 'CONSOLE' in line or 'Refused' in line]
    assert not console, f'{page}: {console[:3]}'
    m = re.search(r'<pre id="answer">(.*?)</pre>', r.stdout, re.S)
    assert m, f'{page}: no answer from the page\n{r.stderr[-2000:]}'
    if not os.path.exists(shot): # this version takes one of the two
        subprocess.run([*command, f'--screenshot={shot}', 'file://' + page], capture_output=True, timeout=120)
    assert os.path.getsize(shot) > 10000, shot
    return json.loads(m.group(1).replace('&amp;', '&').replace('&lt;', '<').replace('&gt;', '>'))


def main():
    with tempfile.TemporaryDirectory() as folder:
        for job, scale in (('demo', 0.35), ('liver-mri', 0.1), ('spine-ct', 0.15), ('spine-mri', 0.2), ('renal-us', 0.2)):
            db = fixture.make(folder, job, scale)
            out = os.path.join(folder, job)
            fixture.call('report', db, '-o', out)
            page = os.path.join(out, 'index.html')
            for width, dark, script in ((1280, False, True), (400, True, True), (1280, True, False))[:3 if job == 'demo' else 2]:
                a = browse(page, folder, width, dark, script)
                where = f'{job} at {width}{", dark" if dark else ""}{"" if script else ", without script"}'
                assert a['figures'] > 0, where
                assert a['wide'] <= 0, f'{where}: {a["wide"]} pixels too wide'
                for fault in ('overlap', 'outside', 'contrast'):
                    assert not a[fault], f'{where}: {fault}: {a[fault][:6]}'
                if script:
                    assert a['bar'], where
                    assert a.get('chosen', 0) == 0, f'{where}: {a["chosen"]} parts of other models stay'
                    assert a.get('sorted', True), f'{where}: the table is not sorted'
                    if job == 'demo':
                        assert a['left'] > 0 and 'sorted' in a, where
                print(f'{where}: {a["figures"]} figures')


main()
