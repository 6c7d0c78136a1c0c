"""A headless Chromium over its debugging pipe (DevTools protocol, NUL-separated JSON on descriptors 3 and 4): one browser for all pages of a test,
with what it wrote to the console, what it asked the network for, both colour schemes, print, any width."""
import base64, json, os, select, shutil, subprocess, tempfile, time

PROGRAM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
PATIENCE_S = 60


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp()
        to_read, self.to = os.pipe()
        self.answers, from_write = os.pipe()

        def descriptors():
            # above both targets first: either of ours may already be 3 or 4
            r, w = os.dup2(to_read, 20), os.dup2(from_write, 21)
            os.dup2(r, 3)
            os.dup2(w, 4)
        self.process = subprocess.Popen([PROGRAM, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--force-device-scale-factor=1',
                                         '--disable-extensions', '--no-first-run', '--disable-background-networking', f'--user-data-dir={self.profile}',
                                         '--host-resolver-rules=MAP * ~NOTFOUND', '--remote-debugging-pipe', 'about:blank'],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=descriptors)
        os.close(to_read)
        os.close(from_write)
        self.buffer, self.number, self.events = b'', 0, []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        self.session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(domain + '.enable')

    def message(self, until):
        while b'\0' not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                raise TimeoutError('Chromium does not answer')
            got = os.read(self.answers, 1 << 20)
            if not got:
                raise EOFError('Chromium went away')
            self.buffer += got
        one, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(one)

    def call(self, method, **params):
        self.number += 1
        request = {'id': self.number, 'method': method, 'params': params}
        if getattr(self, 'session', None):
            request['sessionId'] = self.session
        os.write(self.to, json.dumps(request).encode() + b'\0')
        until = time.monotonic() + PATIENCE_S
        while True:
            m = self.message(until)
            if m.get('id') == self.number:
                if 'error' in m:
                    raise RuntimeError(f'{method}: {m["error"]}')
                return m['result']
            self.events.append(m)

    def view(self, width, height=900, dark=False, media='screen'):
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setEmulatedMedia', media=media, features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def open(self, path, script=True):
        """Loads a file; returns what went wrong: console errors, exceptions, refusals, and requests for anything but the file."""
        self.call('Emulation.setScriptExecutionDisabled', value=not script)
        self.events.clear()
        url = 'file://' + os.path.abspath(path)
        self.call('Page.navigate', url=url)
        until = time.monotonic() + PATIENCE_S
        while not any(e.get('method') == 'Page.loadEventFired' for e in self.events):
            self.events.append(self.message(until))
        self.call('Page.bringToFront')
        return self.complaints(url)

    def complaints(self, url=''):
        out = []
        for e in self.events:
            p = e.get('params', {})
            if e.get('method') == 'Runtime.consoleAPICalled' and p['type'] in ('error', 'warning', 'assert'):
                out.append('console: ' + ' '.join(str(a.get('value', a.get('description'))) for a in p['args']))
            elif e.get('method') == 'Runtime.exceptionThrown':
                out.append('exception: ' + p['exceptionDetails'].get('exception', {}).get('description', p['exceptionDetails']['text']))
            elif e.get('method') == 'Log.entryAdded' and p['entry']['level'] in ('error', 'warning'):
                out.append('log: ' + p['entry']['text'])
            elif e.get('method') == 'Network.requestWillBeSent' and not p['request']['url'].startswith(('data:', url.split('#')[0] or 'data:')):
                out.append('request: ' + p['request']['url'])
        return out

    def ask(self, expression):
        """Value of a JavaScript expression in the page (also where its own scripts are off)."""
        r = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in r:
            raise RuntimeError(r['exceptionDetails'].get('exception', {}).get('description', r['exceptionDetails']['text']))
        return r['result'].get('value')

    def shot(self, to, clip=None):
        params = {'format': 'png', 'captureBeyondViewport': True}
        if clip:
            params['clip'] = dict(zip(('x', 'y', 'width', 'height'), clip), scale=1)
        with open(to, 'wb') as f:
            f.write(base64.b64decode(self.call('Page.captureScreenshot', **params)['data']))

    def pdf(self, to):
        self.call('Emulation.setEmulatedMedia', media='', features=[]) # a print is no screen
        with open(to, 'wb') as f:
            f.write(base64.b64decode(self.call('Page.printToPDF', printBackground=False, preferCSSPageSize=True)['data']))

    def close(self):
        try:
            del self.session
            self.call('Browser.close')
            self.process.wait(PATIENCE_S)
        except (OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)
