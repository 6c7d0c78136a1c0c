"""A report's page as markup: what is true of every one of them, whatever a browser makes of it."""
import csv, html.parser, os, re


class Page(html.parser.HTMLParser):
    VOID = {'meta', 'link', 'img', 'input', 'br'}

    def __init__(self, text):
        super().__init__()
        self.ids, self.open, self.levels, self.links, self.svg, self.scripts = [], [], [], [], [], 0
        self.labelled, self.tables, self.figures, self.text, self.code, self.prose = [], [], [], '', None, {}
        self.file, self.source = None, {}
        self.feed(text)
        self.close()
        assert not self.open, f'left open: {self.open}'

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        names = [name for name, _ in self.open]
        if 'id' in a:
            self.ids.append(a['id'])
        for name in ('aria-labelledby', 'aria-describedby'):
            self.labelled += (a.get(name) or '').split()
        if re.fullmatch('h[1-6]', tag):
            self.levels.append(int(tag[1]))
        if tag == 'a':
            self.links.append(a['href'])
            self.file = a['href'] if a['href'].startswith('csv/') else self.file
            if self.figures and 'figure' in names:
                self.figures[-1]['csv'] |= a['href'].startswith('csv/')
        if tag == 'script':
            self.scripts += 1
        if tag == 'figure':
            self.figures.append({'id': a.get('id'), 'csv': False, 'sql': False, 'image': 'montage' in a.get('class', '')})
        if tag == 'svg':
            self.svg.append([a.get('role'), False, False])
        if 'svg' in names and tag in ('title', 'desc'):
            self.svg[-1][1 if tag == 'title' else 2] = True
        if tag == 'table':
            self.tables.append({'caption': False, 'scope': True})
        if tag == 'caption':
            self.tables[-1]['caption'] = True
        if tag == 'th':
            self.tables[-1]['scope'] &= a.get('scope') in ('col', 'row')
        if tag == 'img':
            assert a.get('alt'), 'an image without words'
        if tag == 'code':
            self.code = ''
            if self.figures and 'figure' in names:
                self.figures[-1]['sql'] = True
        for name in ('src', 'href', 'action'):
            assert not re.match('(https?:)?//', a.get(name) or ''), f'{tag} {name}={a[name]}: a report asks for nothing from outside'
        assert not any(k.startswith('on') for k in a), f'{tag}: handler in markup'
        if tag not in self.VOID and not (self.get_starttag_text() or '').endswith('/>'):
            self.open.append((tag, a.get('id')))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1][0] == tag, f'</{tag}> closes {self.open[-3:]}'
        self.open.pop()
        if tag == 'code':
            self.source[self.file], self.file = self.code, None
            self.code = None

    def handle_data(self, data):
        self.text += data
        if self.code is not None:
            self.code += data
        for name, identity in self.open:
            if identity in ('methods', 'results'):
                self.prose[identity] = self.prose.get(identity, '') + data


def read(folder):
    with open(os.path.join(folder, 'index.html'), encoding='utf-8') as f:
        return f.read()


def rows(folder, name):
    with open(os.path.join(folder, 'csv', name + '.csv'), newline='', encoding='utf-8') as f:
        return list(csv.DictReader(f))


def check(folder, empty=False):
    """Markup, links, figures, tables, and words where something was scored; returns the page."""
    page = Page(read(folder))
    assert len(page.ids) == len(set(page.ids)), sorted({i for i in page.ids if page.ids.count(i) > 1})[:5]
    assert set(page.labelled) <= set(page.ids), sorted(set(page.labelled) - set(page.ids))[:5]
    assert page.levels[0] == 1 and page.levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(page.levels, page.levels[1:])), page.levels
    assert page.svg and all(role == 'img' and title and desc for role, title, desc in page.svg)
    assert page.scripts == 1
    bare = [f['id'] for f in page.figures if not f['image'] and not (f['csv'] and f['sql'])]
    assert not bare, f'figures without data or query: {bare}'
    assert page.tables and all(t['caption'] and t['scope'] for t in page.tables), page.tables
    linked = {x for x in page.links if x.startswith('csv/')}
    there = {'csv/' + n for n in os.listdir(os.path.join(folder, 'csv'))}
    assert linked == there, (linked - there, there - linked)
    assert {x[1:] for x in page.links if x.startswith('#')} <= set(page.ids)
    assert not re.search(r'\d %|\bn/a\b|\bnan\b|suppressed', page.text), re.search(r'.{30}(\d %|\bn/a\b|\bnan\b|suppressed).{30}', page.text, re.S)
    if not empty:
        words(folder, page)
    return page


def words(folder, page):
    """Every number of the results in words is one of a table, as it stands there."""
    known = set()
    for name in ('headline', 'internal-external-table', 'auc-table', 'operating-points'):
        if os.path.exists(os.path.join(folder, 'csv', name + '.csv')):
            for row in rows(folder, name):
                for text in row.values():
                    try:
                        known |= {'%.3f' % abs(float(text)), '%.1f' % (100 * float(text)), text}
                    except ValueError:
                        pass
    text = page.prose['results']
    numbers = re.findall(r'\d+\.\d+', text)
    assert len(numbers) >= 3, text
    strange = [n for n in numbers if n not in known]
    assert not strange, f'{strange} of the results stand in no table: {text}'
    counts = {row['n'] for row in rows(folder, 'flow-diagram')} | known
    strange = [n for n in re.findall(r'(?<![\d.])\d{2,}(?![\d.]*\d|%|\.\d)', re.sub(r'\d+\.\d+|95% CI', '', text)) if n not in counts]
    assert not strange, f'{strange} of the results stand in no table: {text}'
    assert re.search('95% CI: ', text) and not re.search(r'P (=|<) 0', text)
    assert re.search(r'\b(one|two|three|four|five|six|seven|eight|nine|\d\d) neural network', page.prose['methods']), page.prose['methods']
