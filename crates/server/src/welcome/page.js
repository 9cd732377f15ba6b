// Bounds, so that a page left open for a week stays as it was.
const SAMPLES_MAX = 60;         // round trips kept
const SAMPLE_BYTES_MAX = 4096;  // a larger message measures the network's bandwidth
const PENDING_MAX = 200;        // sent messages whose payload is kept until they return
const REASON_BYTES_MAX = 123;   // RFC 6455 section 5.5: a control frame's 125 bytes less the code

const LIMITS = document.documentElement.dataset;
const MESSAGE_BYTES_MAX = 1024 * 1024;
const panels = [];

// First everything is written, then the logs scroll: one layout for all of it.
const redraw = perFrame(() => {
  for (const panel of panels) panel.draw();
  for (const panel of panels) panel.log.scroll();
});

function equal(one, other) {
  // What is sent has no lone surrogates.
  if (typeof one === 'string' || typeof other === 'string') return one.toWellFormed?.() === other;
  if (one.byteLength !== other.byteLength) return false;
  const left = new Uint8Array(one), right = new Uint8Array(other);
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false;
  return true;
}

function bytesOf(payload) {
  return typeof payload === 'string' ? new TextEncoder().encode(payload).length : payload.byteLength;
}

class Panel {
  // `path` of the endpoint; `name` is the id and the prefix of the texts' keys.
  constructor(name, path) {
    this.name = name;
    this.url = ORIGIN + path;
    this.bytesMax = Number(name === 'echo' ? LIMITS.echoMessageBytesMax : LIMITS.messageBytesMax) || MESSAGE_BYTES_MAX;
    this.samples = [];
    this.ended = null;
    this.root = find('template').content.firstElementChild.cloneNode(true);
    this.root.id = name;
    this.find('h2').id = `${name}-title`;
    this.root.setAttribute('aria-labelledby', `${name}-title`);
    this.find('.log').setAttribute('aria-labelledby', `${name}-title`);
    this.find('.another').href = `${location.pathname}#room`;
    this.find(name === 'echo' ? '.another' : '.every').remove();
    if (name !== 'echo') this.find('.figures').remove();
    this.log = new Log(this.find('.log'));
    this.retry = new Reconnection({ connect: () => this.connect(), suspend: () => this.suspend(), changed: () => redraw() });
    this.listen();
    find('main').append(this.root);
    this.connect();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  listen() {
    const text = this.find('.text');
    const submit = () => {
      if (this.send(text.value)) text.value = '';
    };
    sendOnEnter(text, submit);
    this.find('.compose').addEventListener('submit', (event) => {
      event.preventDefault();
      // Before the clock starts: it may lay the page out.
      text.focus();
      submit();
    });
    const choose = this.find('.choose input');
    choose.addEventListener('change', async () => {
      await this.sendFiles([...choose.files]);
      choose.value = '';
    });
    this.root.addEventListener('dragover', (event) => {
      event.preventDefault();
      this.root.classList.add('over');
    });
    this.root.addEventListener('dragleave', (event) => {
      if (!this.root.contains(event.relatedTarget)) this.root.classList.remove('over');
    });
    this.root.addEventListener('drop', (event) => {
      event.preventDefault();
      this.root.classList.remove('over');
      this.sendFiles([...event.dataTransfer.files]);
    });
    this.find('.close').addEventListener('submit', (event) => {
      event.preventDefault();
      if (isEnabled(this.find('.shut'))) this.close(Number(this.find('.code').value), this.find('.reason').value);
    });
    for (const field of ['.code', '.reason']) this.find(field).addEventListener('input', () => this.check());
    this.find('.reconnect').addEventListener('click', () => {
      if (!isEnabled(this.find('.reconnect'))) return;
      if (this.asked) this.ended = null;
      this.retry.now();
    });
    this.find('.clear').addEventListener('click', () => this.log.clear());
    this.every?.addEventListener('change', () => {
      clearInterval(this.timer);
      if (this.every.checked) this.timer = setInterval(() => this.isOpen && this.send(clock()), 1000);
    });
  }

  get every() {
    return this.find('.every input');
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  // Says what is wrong with the code and the reason, before they are sent.
  check() {
    const code = this.find('.code'), reason = this.find('.reason');
    code.setCustomValidity(/^\s*(1000|[34]\d{3})\s*$/.test(code.value) ? '' : texts.badCode);
    reason.setCustomValidity(bytesOf(reason.value) <= REASON_BYTES_MAX ? '' : texts.tooLong);
  }

  connect() {
    this.asked = null;
    this.opened = null;
    // By number: the echo of the n-th message that was sent is the n-th that comes.
    this.pending = new Map();
    this.tally = { sent: [0, 0], received: [0, 0] };
    const socket = this.socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.retry.handleOpen();
      this.opened = new Date();
      this.ended = null;
      this.log.note('good', 'isOpen');
    };
    socket.onmessage = ({ data }) => this.received(data, performance.now());
    socket.onclose = (event) => this.handleClose(event);
    redraw();
  }

  handleClose({ code, reason, wasClean }) {
    const by = !wasClean ? 'nobody' : this.asked ? 'here' : 'there';
    const isFirst = this.ended === null;
    // The answer to our Close frame repeats its code; the reason it may leave out.
    if (isFirst) this.ended = { code, reason: reason || (wasClean && this.asked?.reason), wasClean, by, at: Date.now() };
    if (!this.asked) this.retry.handleClose(reason);
    // An outage is told once, not with every attempt.
    if (!isFirst) return redraw();
    if (wasClean) this.log.note('', 'isClosed', code);
    else if (this.opened) this.log.note('bad', 'isLost', code);
    else this.log.note('bad', 'failed');
  }

  // Closes without a word, since the page is left. It may come back.
  suspend() {
    this.socket.onclose = null;
    this.socket.close();
  }

  close(code, reason) {
    this.asked = { reason };
    this.retry.stop();
    if (this.every) this.every.checked = false;
    clearInterval(this.timer);
    this.socket.close(code, reason);
    redraw();
  }

  send(payload, name = '') {
    if (!this.isOpen) {
      this.log.note('bad', 'notOpen');
      return false;
    }
    const bytes = bytesOf(payload);
    if (bytes > this.bytesMax) {
      this.log.note('bad', 'tooBig', name, size(this.bytesMax));
      return false;
    }
    this.pending.set(this.tally.sent[0], { payload, name, at: performance.now() });
    this.socket.send(payload);
    if (this.pending.size > PENDING_MAX) this.pending.delete(this.pending.keys().next().value);
    this.count('sent', bytes);
    if (this.name === 'echo') this.log.message('↑', payload, bytes, { name });
    return true;
  }

  async sendFiles(files) {
    for (const file of files) {
      // Before it is read: a file of gigabytes is refused by its size alone.
      if (file.size > this.bytesMax) this.log.note('bad', 'tooBig', file.name, size(this.bytesMax));
      else {
        try {
          this.send(await file.arrayBuffer(), file.name);
        } catch {
          this.log.note('bad', 'unreadable', file.name);
        }
      }
    }
  }

  received(payload, now) {
    const bytes = bytesOf(payload);
    if (this.name === 'echo') {
      const number = this.tally.received[0];
      const sent = this.pending.get(number);
      this.pending.delete(number);
      // Of one that was sent too long ago nothing is known.
      const same = sent ? equal(sent.payload, payload) : null;
      const time = sent ? now - sent.at : null;
      if (time !== null && bytes <= SAMPLE_BYTES_MAX) this.sample(time);
      this.log.message('↓', payload, bytes, { same, time, name: sent?.name });
    } else {
      // Everybody's messages come in one order, ours among them in the order we sent them.
      const [number, first] = this.pending.entries().next().value ?? [];
      const own = first !== undefined && equal(first.payload, payload);
      if (own) this.pending.delete(number);
      this.log.message(own ? '→' : '↓', payload, bytes, { own, name: own ? first.name : '' });
    }
    this.count('received', bytes);
  }

  sample(time) {
    this.samples.push(time);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    this.hasNewSamples = true;
  }

  count(direction, bytes) {
    this.tally[direction][0] += 1;
    this.tally[direction][1] += bytes;
    redraw();
  }

  draw() {
    this.drawState();
    if (this.hasNewSamples) this.drawSamples();
    this.log.draw();
  }

  drawSamples() {
    this.hasNewSamples = false;
    const sorted = this.samples.toSorted((one, other) => one - other);
    this.find('.last').textContent = milliseconds(this.samples.at(-1));
    this.find('.fastest').textContent = milliseconds(sorted[0]);
    this.find('.median').textContent = milliseconds(sorted[sorted.length >> 1]);
    const bars = this.samples.map((sample, index) => {
      const height = Math.max(1.5, 27 * sample / sorted.at(-1));
      return `M${120 - 2 * (this.samples.length - index)} 28v${-height.toFixed(1)}h1.5V28z`;
    });
    this.find('.chart path').setAttribute('d', bars.join(''));
  }

  drawState() {
    const isLost = this.asked === null && this.ended !== null;
    const state = ['connecting', 'open', 'closing', 'closed'][this.socket.readyState];
    this.root.dataset.state = state;
    // While it is tried again and again, the word stays: it is read aloud.
    setText(this.find('.word'), isLost ? texts.lost : texts[state]);
    setText(this.find('.countdown'), this.retry.waits ? texts.retrying(this.retry.seconds) : '');
    setText(this.find('.reconnect'), this.retry.waits ? texts.now : texts.reconnect);
    setEnabled(this.find('.shut'), this.socket.readyState <= WebSocket.OPEN || this.retry.waits);
    setEnabled(this.find('.reconnect'), this.socket.readyState === WebSocket.CLOSED);
    this.find('.ending').hidden = this.ended === null;
    if (this.ended !== null) {
      setText(this.find('.end-code'), String(this.ended.code));
      setText(this.find('.end-reason'), this.ended.reason || texts.none);
      setText(this.find('.end-by'), texts[this.ended.by]);
      setText(this.find('.end-clean'), this.ended.wasClean ? texts.yes : texts.no);
    }
    setText(this.find('.d-url'), this.url);
    setText(this.find('.d-subprotocol'), this.socket.protocol || texts.none);
    setText(this.find('.d-extensions'), this.socket.extensions || texts.none);
    setText(this.find('.d-opened'), this.opened ? when(this.opened) : texts.none);
    setText(this.find('.d-sent'), texts.tally(this.tally.sent[0], size(this.tally.sent[1])));
    setText(this.find('.d-received'), texts.tally(this.tally.received[0], size(this.tally.received[1])));
  }

  translate() {
    this.find('h2').textContent = texts[`${this.name}Title`];
    this.find('.about').textContent = texts[`${this.name}About`];
    this.check();
    this.log.translate();
  }
}

function speak(language) {
  translate(language);
  document.title = `Sockeye · ${location.host}`;
  const served = [[`${ORIGIN}/echo`, 'echoPath'], [`${ORIGIN}/`, 'echoPath'], [`${ORIGIN}/websocket/ws`, 'roomPath'], [`${location.origin}/chat`, 'chatPath', '/chat'], [`${location.origin}/login`, 'loginPath', '/login'], [`${location.origin}/health/live`, 'livePath']];
  find('.endpoints').replaceChildren(...served.map(([address, key, href]) => element('div', {},
    element('dt', {}, href ? element('a', { href, textContent: address }) : element('code', { textContent: address })), element('dd', { textContent: texts[key] }))));
  panels.forEach((panel) => panel.translate());
}

function start() {
  find('.snippet').textContent = [
    `$ echo hello | sockeye connect ${ORIGIN}/echo`,
    '',
    `const ws = new WebSocket('${ORIGIN}/echo');`,
    "ws.onopen = () => ws.send('hello');",
    'ws.onmessage = (event) => console.log(event.data);',
  ].join('\n');
  // A file dropped beside the panels must not replace the page.
  for (const name of ['dragover', 'drop']) document.addEventListener(name, (event) => event.preventDefault());
  const language = chosenLanguage();
  texts = TEXTS[language];
  panels.push(new Panel('echo', '/echo'), new Panel('room', '/websocket/ws'));
  speak(language);
  offerLanguages(speak);
}

start();
