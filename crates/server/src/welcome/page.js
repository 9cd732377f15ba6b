// Bounds, so that a page left open for a week stays as it was.
const LINES_MAX = 200;          // in a log
const CHARACTERS_MAX = 2000;    // shown of one message
const SAMPLES_MAX = 60;         // round trips kept
const PENDING_MAX = 256;        // sent messages whose return is awaited
const REASON_BYTES_MAX = 123;   // RFC 6455 section 5.5: a control frame's 125 bytes less the code
const SAVED_MAX = 8;            // binary messages that can be saved, per log

const LIMITS = document.documentElement.dataset;
const MESSAGE_BYTES_MAX = 1024 * 1024;
const panels = [];

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function milliseconds(time) {
  return time < 10 ? `${time.toFixed(2)} ms` : `${time.toFixed(1)} ms`;
}

function equal(one, other) {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  if (one.byteLength !== other.byteLength) return false;
  const left = new Uint8Array(one), right = new Uint8Array(other);
  return left.every((byte, index) => byte === right[index]);
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
    this.pending = [];
    this.samples = [];
    this.saved = [];
    this.ended = null;
    this.root = document.querySelector('template').content.firstElementChild.cloneNode(true);
    this.root.id = name;
    this.find('h2').id = `${name}-title`;
    this.root.setAttribute('aria-labelledby', `${name}-title`);
    this.find('.log').setAttribute('aria-labelledby', `${name}-title`);
    this.find('.another').href = `${location.pathname}#room`;
    this.find(name === 'echo' ? '.another' : '.every').remove();
    if (name !== 'echo') this.find('.figures').remove();
    this.listen();
    document.querySelector('main').append(this.root);
    this.connect();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  listen() {
    this.find('.compose').addEventListener('submit', (event) => {
      event.preventDefault();
      const input = this.find('.text');
      if (this.send(input.value)) input.value = '';
      input.focus();
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
      this.close(Number(this.find('.code').value), this.find('.reason').value);
    });
    this.find('.reason').addEventListener('input', (event) => {
      const fits = bytesOf(event.target.value) <= REASON_BYTES_MAX;
      event.target.setCustomValidity(fits ? '' : texts.tooLong);
    });
    this.find('.reconnect').addEventListener('click', () => this.connect());
    this.find('.clear').addEventListener('click', () => this.clear());
    this.find('.every')?.querySelector('input').addEventListener('change', (event) => {
      clearInterval(this.timer);
      if (event.target.checked) this.timer = setInterval(() => this.socket.readyState === WebSocket.OPEN && this.send(clock()), 1000);
    });
  }

  connect() {
    this.ended = null;
    this.asked = null;
    this.pending = [];
    this.opened = null;
    this.tally = { sent: [0, 0], received: [0, 0] };
    const socket = this.socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.opened = new Date();
      this.note(texts.isOpen, 'good');
      this.render();
    };
    socket.onmessage = ({ data }) => this.received(data, performance.now());
    socket.onclose = ({ code, reason, wasClean }) => {
      if (socket !== this.socket) return;
      const by = !wasClean ? 'nobody' : this.asked ? 'here' : 'there';
      // The answer to our Close frame repeats its code; the reason it may leave out.
      this.ended = { code, reason: reason || (wasClean && this.asked?.reason), wasClean, by };
      this.note(texts.isClosed(code, wasClean), wasClean ? '' : 'bad');
      this.render();
    };
    this.render();
  }

  close(code, reason) {
    this.asked = { reason };
    this.socket.close(code, reason);
    this.render();
  }

  send(payload, name = '') {
    if (this.socket.readyState !== WebSocket.OPEN) {
      this.note(texts.notOpen, 'bad');
      return false;
    }
    const bytes = bytesOf(payload);
    if (bytes > this.bytesMax) {
      this.note(texts.tooBig(name || texts.message, size(this.bytesMax)), 'bad');
      return false;
    }
    if (this.pending.length === PENDING_MAX) this.pending.shift();
    this.pending.push({ payload, name, at: performance.now() });
    this.socket.send(payload);
    this.count('sent', bytes);
    if (this.name === 'echo') this.line('↑', payload, bytes, { name });
    return true;
  }

  async sendFiles(files) {
    for (const file of files) {
      // Before it is read: a file of gigabytes is refused by its size alone.
      if (file.size > this.bytesMax) this.note(texts.tooBig(file.name, size(this.bytesMax)), 'bad');
      else this.send(await file.arrayBuffer(), file.name);
    }
  }

  received(payload, now) {
    const bytes = bytesOf(payload);
    this.count('received', bytes);
    const [first] = this.pending;
    const same = first !== undefined && equal(first.payload, payload);
    if (this.name === 'echo') {
      this.pending.shift();
      const time = first === undefined ? null : now - first.at;
      if (time !== null) this.sample(time);
      this.line('↓', payload, bytes, { same, time, name: first?.name });
    } else {
      // Everybody's messages come in one order, ours among them in the order we sent them.
      if (same) this.pending.shift();
      this.line(same ? '→' : '↓', payload, bytes, { own: same, name: same ? first.name : '' });
    }
  }

  sample(time) {
    this.samples.push(time);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    const sorted = this.samples.toSorted((one, other) => one - other);
    this.find('.last').textContent = milliseconds(time);
    this.find('.least').textContent = milliseconds(sorted[0]);
    this.find('.median').textContent = milliseconds(sorted[sorted.length >> 1]);
    const bars = this.samples.map((sample, index) => {
      const height = Math.max(1.5, 27 * sample / sorted.at(-1));
      const bar = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      const place = { x: 120 - 2 * (this.samples.length - index), y: 28 - height, width: 1.5, height };
      for (const [attribute, value] of Object.entries(place)) bar.setAttribute(attribute, value);
      return bar;
    });
    this.find('.chart svg').replaceChildren(...bars);
  }

  count(direction, bytes) {
    this.tally[direction][0] += 1;
    this.tally[direction][1] += bytes;
    this.renderTally();
  }

  // One message in the log.
  line(arrow, payload, bytes, { own = false, name = '', same = null, time = null }) {
    const body = element('span', { className: 'body' });
    if (typeof payload === 'string') {
      body.textContent = payload.slice(0, CHARACTERS_MAX);
      if (payload.length > CHARACTERS_MAX) body.append(element('em', { textContent: texts.more(size(bytes)) }));
    } else {
      const start = [...new Uint8Array(payload.slice(0, 8))].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      body.append(element('strong', { textContent: name || texts.binary }), ' ', element('code', { textContent: start + (bytes > 8 ? ' …' : '') }));
      if (arrow !== '↑') body.append(' ', this.saveLink(payload, name));
    }
    const facts = [size(bytes)];
    if (time !== null) facts.push(milliseconds(time));
    const meta = element('span', { className: 'meta', textContent: facts.join(' · ') });
    if (own) meta.prepend(element('b', { className: 'own', textContent: texts.yours }), ' ');
    // For the echo: whether what came is what went, byte for byte.
    if (same !== null) meta.append(' ', element('b', { className: same ? 'same' : 'different', textContent: same ? '✓' : '≠', title: same ? texts.same : texts.different }));
    if (same === false) meta.append(' ', texts.different);
    this.append(element('li', { className: own ? 'mine' : '' },
      element('time', { textContent: clock() }), element('span', { className: 'arrow', textContent: arrow, ariaHidden: 'true' }), body, meta));
  }

  // A remark of the page itself.
  note(text, mood) {
    this.append(element('li', { className: `note ${mood}` }, element('time', { textContent: clock() }),
      element('span', { className: 'arrow', textContent: '·', ariaHidden: 'true' }), element('span', { className: 'body', textContent: text })));
  }

  append(line) {
    const log = this.find('.log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(line);
    while (log.children.length > LINES_MAX) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  saveLink(payload, name) {
    const link = element('a', { textContent: texts.save, download: name || 'message.bin', href: URL.createObjectURL(new Blob([payload])) });
    this.saved.push(link);
    if (this.saved.length > SAVED_MAX) this.forget(this.saved.shift());
    return link;
  }

  // A blob lives as long as its address.
  forget(link) {
    URL.revokeObjectURL(link.href);
    link.remove();
  }

  clear() {
    this.saved.splice(0).forEach((link) => this.forget(link));
    this.find('.log').replaceChildren();
  }

  // Shows the state of the connection, in the chosen language.
  render() {
    const state = ['connecting', 'open', 'closing', 'closed'][this.socket.readyState];
    this.root.dataset.state = state;
    this.find('h2').textContent = texts[`${this.name}Title`];
    this.find('.about').textContent = texts[`${this.name}About`];
    const word = this.find('.state .word');
    if (word.textContent !== texts[state]) word.textContent = texts[state];
    this.find('.log').dataset.empty = texts.empty;
    this.find('.shut').disabled = this.socket.readyState > WebSocket.OPEN;
    this.find('.reconnect').disabled = this.socket.readyState !== WebSocket.CLOSED;
    this.find('.compose button').disabled = this.socket.readyState !== WebSocket.OPEN;
    this.find('.ending').hidden = this.ended === null;
    if (this.ended !== null) {
      this.find('.end-code').textContent = this.ended.code;
      this.find('.end-reason').textContent = this.ended.reason || texts.none;
      this.find('.end-by').textContent = texts[this.ended.by];
      this.find('.end-clean').textContent = this.ended.wasClean ? texts.yes : texts.no;
    }
    this.find('.d-url').textContent = this.url;
    this.find('.d-subprotocol').textContent = this.socket.protocol || texts.none;
    this.find('.d-extensions').textContent = this.socket.extensions || texts.none;
    this.find('.d-opened').textContent = this.opened ? clock(this.opened) : texts.none;
    this.renderTally();
  }

  renderTally() {
    this.find('.d-sent').textContent = texts.tally(this.tally.sent[0], size(this.tally.sent[1]));
    this.find('.d-received').textContent = texts.tally(this.tally.received[0], size(this.tally.received[1]));
  }
}

function speak(language) {
  translate(language);
  document.title = `Sockeye · ${location.host}`;
  const served = [[`${ORIGIN}/echo`, 'echoPath'], [`${ORIGIN}/`, 'echoPath'], [`${ORIGIN}/websocket/ws`, 'roomPath'], [`${location.origin}/chat`, 'chatPath', '/chat'], [`${location.origin}/login`, 'loginPath', '/login'], [`${location.origin}/health/live`, 'livePath']];
  document.querySelector('.endpoints').replaceChildren(...served.map(([address, key, href]) => element('div', {},
    element('dt', {}, href ? element('a', { href, textContent: address }) : element('code', { textContent: address })), element('dd', { textContent: texts[key] }))));
  panels.forEach((panel) => panel.render());
}

function start() {
  document.querySelector('.snippet').textContent = [
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
