// Bounds, so that a page left open for a week stays as it was.
const SAMPLES_MAX = 60;         // round trips kept
const SAMPLE_BYTES_MAX = 4096;  // a larger message measures the network's bandwidth
const PENDING_MAX = 200;        // sent messages whose payload is kept until they return
const OWN_CODE_MAX = 4999;      // of close codes from 3000, which applications define
const REASON_BYTES_MAX = 123;   // RFC 6455 section 5.5: a control frame's 125 bytes less the code

const SERVER = document.documentElement.dataset;
const POLICY_VIOLATION = 1008;  // RFC 6455 section 7.4.1
const panels = [];

// First everything is written, then the logs scroll: one layout for all of it.
const redraw = perFrame(() => {
  for (const panel of panels) panel.draw();
  for (const panel of panels) panel.log.scroll();
});

// Closes a WebSocket, of which nothing more is heard.
function suspend(socket) {
  if (!socket) return;
  socket.onmessage = socket.onclose = null;
  socket.close();
}

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

// A WebSocket and all that is shown of it.
class Panel {
  // `path` of the endpoint; `name` is the id and the prefix of the texts' keys.
  constructor(name, path) {
    this.name = name;
    this.url = ORIGIN + path;
    this.samples = [];
    this.ended = null;
    this.root = find('template').content.firstElementChild.cloneNode(true);
    this.root.id = name;
    for (const item of this.root.querySelectorAll('[data-for]')) if (item.dataset.for !== name) item.remove();
    this.find('h2').id = `${name}-title`;
    this.root.setAttribute('aria-labelledby', `${name}-title`);
    this.find('.log').setAttribute('aria-labelledby', `${name}-title`);
    this.log = new Log(this.find('.log'));
    this.on('.clear', 'click', () => this.log.clear());
    this.on('.filter', 'input', ({ target }) => this.log.filterBy(target.value));
    this.on('.pause', 'click', ({ target }) => (target.ariaPressed = String(this.log.isPaused = !this.log.isPaused), redraw()));
    this.composer = new Composer(this);
    this.retry = new Reconnection({
      connect: () => this.connect(),
      suspend: () => suspend(this.socket),
      lost: () => this.handleClose({ code: 1006, wasClean: false }),
      changed: () => redraw(),
    });
    this.on('.reconnect', 'click', () => {
      if (this.asked) this.ended = null;
      this.retry.now();
      // The button goes when the connection is open.
      this.composer.text.focus();
    });
    find('main').append(this.root);
    this.listen();
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  on(selector, event, act) {
    this.find(selector).addEventListener(event, act);
  }

  onSubmit(selector, act) {
    this.on(selector, 'submit', (event) => {
      event.preventDefault();
      act();
    });
  }

  isFinal(code) {
    return code === POLICY_VIOLATION;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    this.asked = null;
    this.opened = null;
    // By number: the echo of the n-th message that was sent is the n-th that comes.
    this.pending = new Map();
    this.tally = { sent: 0, received: 0 };
    const socket = this.socket = new WebSocket(this.url);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.handleOpen();
    socket.onmessage = ({ data }) => this.received(data, performance.now());
    socket.onclose = (event) => this.handleClose(event);
    redraw();
  }

  handleOpen() {
    this.retry.handleOpen();
    this.opened = new Date();
    this.ended = null;
    this.log.note('good', 'isOpen');
  }

  handleClose({ code, reason, wasClean }) {
    const isFinal = this.isFinal(code);
    // Then it is of no use to try again.
    if (isFinal) this.asked = {};
    const by = !wasClean ? 'nobody' : this.asked && !isFinal ? 'here' : 'there';
    const isFirst = this.ended === null;
    // The answer to our Close frame repeats its code; the reason it may leave out.
    if (isFirst) this.ended = { code, reason: reason || (wasClean && this.asked?.reason), wasClean, by, at: Date.now() };
    if (this.asked) this.retry.stop();
    else this.retry.handleClose(reason);
    // An outage is told once, not with every attempt.
    if (!isFirst) return redraw();
    if (wasClean) this.log.note('', 'isClosed', code);
    else if (this.opened) this.log.note('bad', 'isLost', code);
    else this.log.note('bad', 'failed');
  }

  // Returns the bytes of a payload that can be sent now, else says why not.
  sendable(payload) {
    const bytes = bytesOf(payload);
    if (!this.isOpen) this.log.note('bad', 'notOpen');
    else if (bytes > this.bytesMax) this.log.note('bad', 'tooBig', size(this.bytesMax));
    else return bytes;
    return null;
  }

  count(direction) {
    this.tally[direction] += 1;
    redraw();
  }

  get state() {
    return ['connecting', 'open', 'closing', 'closed'][this.socket.readyState];
  }

  draw() {
    const { state, ended, retry } = this;
    this.root.dataset.state = state;
    // While it is tried again and again, the word stays: it is read aloud.
    setText(this.find('.word'), texts[this.asked === null && ended !== null ? 'lost' : this.word ?? state]);
    setText(this.find('.countdown'), retry.waits ? texts.retrying(retry.seconds) : '');
    setText(this.find('.reconnect'), retry.waits ? texts.now : texts.reconnect);
    this.find('.ending').hidden = ended === null;
    if (ended !== null) {
      setText(this.find('.end-code'), String(ended.code));
      setText(this.find('.end-reason'), ended.reason || texts.none);
      setText(this.find('.end-by'), texts[ended.by]);
      setText(this.find('.end-about'), texts.codes[ended.code] ?? texts.codes[OWN_CODE_MAX]);
    }
    this.log.draw();
  }

  translate() {
    this.find('h2').textContent = texts[`${this.name}Title`];
    this.find('.about').textContent = texts[`${this.name}About`];
    this.find('.primary').textContent = texts[this.name === 'hub' ? 'publish' : 'send'];
    if (this.composer.text.ariaInvalid === 'true') this.composer.payload();
    this.log.translate();
  }
}

// What is sent comes back.
class Echo extends Panel {
  listen() {
    this.bytesMax = Number(SERVER.echoMessageBytesMax);
    const choose = this.find('.choose input');
    choose.addEventListener('change', async () => {
      for (const file of choose.files) {
        // Before it is read: a file of gigabytes is refused by its size alone.
        if (file.size > this.bytesMax) this.log.note('bad', 'tooBig', size(this.bytesMax));
        else this.send(await file.arrayBuffer(), file.name);
      }
      choose.value = '';
    });
    this.onSubmit('.close', () => isEnabled(this.find('.shut')) && this.close(Number(this.find('.code').value), this.find('.reason').value));
    for (const field of ['.code', '.reason']) this.on(field, 'input', () => this.check());
    this.retry.now();
  }

  // Says what is wrong with the code and the reason, before they are sent.
  check() {
    const code = this.find('.code'), reason = this.find('.reason');
    code.setCustomValidity(/^\s*(1000|[34]\d{3})\s*$/.test(code.value) ? '' : texts.badCode);
    reason.setCustomValidity(bytesOf(reason.value) <= REASON_BYTES_MAX ? '' : texts.tooLong);
  }

  handleOpen() {
    super.handleOpen();
    // So that the first thing a visitor sees is a round trip.
    if (this.greeted) return;
    this.greeted = true;
    this.send('hello');
  }

  close(code, reason) {
    this.asked = { reason };
    this.retry.stop();
    this.composer.stop();
    this.socket.close(code, reason);
    redraw();
  }

  send(payload, name = '') {
    const bytes = this.sendable(payload);
    if (bytes === null) return false;
    const sent = { payload, name, line: this.log.message('↑', payload, bytes, { name }) };
    this.pending.set(this.tally.sent, sent);
    if (this.pending.size > PENDING_MAX) this.pending.delete(this.pending.keys().next().value);
    this.count('sent');
    // What else there is to do is done before the clock starts: the answer waits for the page.
    sent.at = performance.now();
    this.socket.send(payload);
    return true;
  }

  received(payload, now) {
    const bytes = bytesOf(payload);
    const number = this.tally.received;
    const sent = this.pending.get(number);
    this.pending.delete(number);
    const same = sent && equal(sent.payload, payload);
    if (sent) {
      const time = now - sent.at;
      if (bytes <= SAMPLE_BYTES_MAX) this.sample(time);
      this.log.amend(sent.line, { arrow: '⇄', time, same });
    }
    // Of one that was sent too long ago nothing is known; of one that has changed everything is of interest.
    if (!same) this.log.message('↓', payload, bytes);
    this.count('received');
  }

  sample(time) {
    this.samples.push(time);
    if (this.samples.length > SAMPLES_MAX) this.samples.shift();
    this.hasNewSamples = true;
  }

  draw() {
    super.draw();
    if (this.hasNewSamples) this.drawSamples();
    setEnabled(this.find('.shut'), this.socket.readyState <= WebSocket.OPEN || this.retry.waits);
  }

  drawSamples() {
    this.hasNewSamples = false;
    const longest = Math.max(...this.samples);
    this.find('.last').textContent = milliseconds(this.samples.at(-1));
    const bars = this.samples.map((sample, index) => {
      const height = Math.max(1.5, 27 * sample / longest);
      return `M${120 - 2 * (this.samples.length - index)} 28v${-height.toFixed(1)}h1.5V28z`;
    });
    this.find('.figures path').setAttribute('d', bars.join(''));
  }

  translate() {
    super.translate();
    this.check();
    this.find('.codes').replaceChildren(...Object.entries(texts.codes).map(([code, about]) => (
      element('div', {}, element('dt', { textContent: Number(code) === OWN_CODE_MAX ? `3000–${code}` : code }), element('dd', { textContent: about })))));
  }
}
