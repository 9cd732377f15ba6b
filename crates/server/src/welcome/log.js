// The log of a panel. What arrives is noted at once and drawn with the next frame, so that any rate costs
// one layout a frame; a flood, four a second.
const LINES_MAX = 200;          // in a log
const KEPT_MAX = 16_000;        // characters, or bytes, of a message that can be looked at whole
const SUMMARY_MAX = 160;        // characters of a message that can be expanded
const LOUD_MAX = 3;             // lines of a frame that are read aloud; more would be a stream of words without end
const FLOOD_MS = 250;           // between two drawings when more than that come in a frame; nobody can read them
const AT_END_PX = 40;

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function milliseconds(time) {
  return time < 10 ? `${time.toFixed(2)} ms` : `${time.toFixed(1)} ms`;
}

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

// Eight bytes in a line, which fits on a phone: where, as hex, as ASCII.
function dump(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8) {
    const row = bytes.subarray(at, at + 8);
    text += `${at.toString(16).padStart(4, '0')}  ${hex(row).padEnd(23)}  ${String.fromCharCode(...row).replace(/[^ -~]/g, '.')}\n`;
  }
  return text;
}

// The text with JSON laid out, if it is JSON.
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Copies a text, and says so on the button.
function offerCopy(button, textOf) {
  button.textContent = texts.copy;
  button.onclick = () => navigator.clipboard?.writeText(textOf()).then(() => (button.textContent = '✓'), () => {});
  button.hidden = !navigator.clipboard;
  return button;
}

class Log {
  constructor(root) {
    this.root = root;
    this.list = root.querySelector('ol');
    this.lines = [];              // the last ones; `element` of one that is drawn
    this.gone = [];               // elements that the next drawing removes: before, it would cost a layout of its own
    this.isAtEnd = true;
    this.isPaused = false;        // nothing is drawn, though noted
    this.mustDraw = false;        // once, though paused
    this.filter = '';             // lower case; what lacks it is hidden
    this.drawnAt = -Infinity;
    // A frame begins with its scroll events, so this forces no layout of its own.
    root.addEventListener('scroll', () => (this.isAtEnd = root.scrollHeight - root.scrollTop - root.clientHeight < AT_END_PX));
  }

  // Notes a message. Of a long one the beginning is kept.
  message(arrow, payload, bytes, facts = {}) {
    const line = { at: new Date(), arrow, bytes, ...facts };
    if (typeof payload === 'string') line.text = cut(payload, KEPT_MAX);
    else line.start = new Uint8Array(payload.slice(0, KEPT_MAX));
    line.isCut = bytes > KEPT_MAX;
    return this.add(line);
  }

  // Notes a remark of the page itself: a key of the texts, and its values.
  note(mood, key, ...values) {
    this.add({ at: new Date(), mood, key, values });
  }

  add(line) {
    this.lines.push(line);
    if (this.lines.length > LINES_MAX) this.drop(this.lines.shift());
    redraw();
    return line;
  }

  // What is known of a message only later, such as when its echo has come.
  amend(line, facts) {
    Object.assign(line, facts);
    if (line.element) line.isStale = true;
    redraw();
  }

  drop({ element }) {
    if (element) this.gone.push(element);
  }

  clear() {
    this.lines.splice(0).forEach((line) => this.drop(line));
    this.mustDraw = true;
    redraw();
  }

  // Draws all lines anew, in another language.
  translate() {
    this.root.dataset.empty = texts.empty;
    for (const line of this.lines) line.element = null;
    this.list.replaceChildren();
    this.mustDraw = true;
    redraw();
  }

  filterBy(text) {
    this.filter = text.toLowerCase();
    for (const line of this.lines) if (line.element) this.sift(line);
  }

  // Hides a line that lacks what is looked for, in what is shown of it or in the rest of a long text.
  sift({ element: drawn, text = '' }) {
    drawn.hidden = this.filter !== '' && !(drawn.textContent + text).toLowerCase().includes(this.filter);
  }

  draw() {
    if (this.isPaused && !this.mustDraw) return;
    const fresh = this.lines.filter((line) => !line.element);
    for (const line of this.lines) {
      if (!line.isStale) continue;
      line.isStale = false;
      line.element.replaceChildren(...this.drawn(line).childNodes);
      this.sift(line);
    }
    if (fresh.length === 0 && this.gone.length === 0) return;
    const now = performance.now();
    if (fresh.length > LOUD_MAX && now - this.drawnAt < FLOOD_MS) return redraw();
    this.drawnAt = now;
    this.mustDraw = false;
    this.gone.splice(0).forEach((element) => element.remove());
    this.root.ariaLive = fresh.length > LOUD_MAX ? 'off' : 'polite';
    this.list.append(...fresh.map((line) => (line.element = this.drawn(line))));
    fresh.forEach((line) => this.sift(line));
    this.mustScroll = this.isAtEnd;
  }

  scroll() {
    if (this.mustScroll) this.root.scrollTop = this.root.scrollHeight;
    this.mustScroll = false;
  }

  drawn(line) {
    const { at, mood = '', key, values, arrow = '·', own } = line;
    const text = typeof texts[key] === 'function' ? texts[key](...values) : texts[key];
    return element('li', { className: key ? `note ${mood}` : own ? 'mine' : '' },
      element('time', { textContent: when(at) }), element('span', { className: 'arrow', textContent: arrow, ariaHidden: 'true' }),
      element('div', { className: 'body', dir: 'auto' }, ...(key ? [text] : this.drawnBody(line))), ...(key ? [] : [this.drawnMeta(line)]));
  }

  drawnBody({ text, start, bytes, name = '', who, isCut }) {
    const isBinary = text === undefined;
    const isLong = isBinary ? bytes > 8 : text.length > SUMMARY_MAX || /^\s*[{[]/.test(text);
    const shown = isBinary ? [element('b', { textContent: name }), ' ', element('code', { textContent: hex(start.subarray(0, 8)) })] : [cut(text, SUMMARY_MAX)];
    if (isBinary ? isLong : text.length > SUMMARY_MAX) shown.push(texts.more(size(bytes)));
    if (who) shown.unshift(drawnWho(who), ' ');
    if (!isLong) return shown;
    const details = element('details', {}, element('summary', {}, ...shown));
    // What nobody opens is not laid out.
    details.addEventListener('toggle', () => {
      details.append(element('pre', { textContent: (isBinary ? dump(start) : pretty(text)) + (isCut ? '…' : '') }), offerCopy(element('button', { className: 'quiet', type: 'button' }), () => text ?? hex(start)));
    }, { once: true });
    return [details];
  }

  drawnMeta({ bytes, time, own, same, offset }) {
    const facts = [offset && `#${offset}`, size(bytes), time && milliseconds(time)];
    const meta = element('span', { className: 'meta', textContent: facts.filter(Boolean).join(' · ') });
    if (own) meta.prepend(element('b', { className: 'own', textContent: texts.yours }), ' ');
    // For the echo: whether what came is what went, byte for byte.
    if (same) meta.append(' ', element('b', { className: 'same', textContent: '✓' }));
    if (same === false) meta.append(' ', element('b', { className: 'different', textContent: texts.different }));
    return meta;
  }
}

// Somebody, in a colour of their own.
function drawnWho(who) {
  const drawn = element('bdi', { className: 'who', textContent: cut(who, 24) });
  let hue = 0;
  for (const letter of who) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  drawn.style.setProperty('--hue', hue);
  return drawn;
}
