// The log of a panel. What arrives is noted at once and drawn with the next frame, so that any rate costs
// one layout a frame; a flood, four a second.
const LINES_MAX = 200;          // in a log
const CHARACTERS_MAX = 2000;    // shown of one message
const SAVED_MAX = 8;            // binary messages that can be saved, per log
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

class Log {
  constructor(root) {
    this.root = root;
    this.list = root.querySelector('ol');
    this.lines = [];              // the last ones; `element` of one that is drawn
    this.saved = [];              // the binary ones among them
    this.gone = [];               // elements that the next drawing removes: before, it would cost a layout of its own
    this.isAtEnd = true;
    this.drawnAt = -Infinity;
    // A frame begins with its scroll events, so this forces no layout of its own.
    root.addEventListener('scroll', () => (this.isAtEnd = root.scrollHeight - root.scrollTop - root.clientHeight < AT_END_PX));
  }

  // Notes a message. Of a long one the beginning is kept, of a binary one everything, for a while.
  message(arrow, payload, bytes, { own = false, name = '', same = null, time = null }) {
    const line = { at: new Date(), arrow, bytes, own, name, same, time };
    if (typeof payload === 'string') {
      line.text = cut(payload, CHARACTERS_MAX);
      line.isCut = line.text.length < payload.length;
    } else {
      line.start = new Uint8Array(payload.slice(0, 8));
      if (arrow !== '↑') this.save(line, payload);
    }
    this.add(line);
  }

  // Notes a remark of the page itself: a key of the texts, and its values.
  note(mood, key, ...values) {
    this.add({ at: new Date(), mood, key, values });
  }

  add(line) {
    this.lines.push(line);
    if (this.lines.length > LINES_MAX) this.drop(this.lines.shift());
    redraw();
  }

  save(line, payload) {
    line.payload = payload;
    this.saved.push(line);
    if (this.saved.length > SAVED_MAX) this.forget(this.saved.shift());
  }

  // A blob lives as long as its address.
  forget(line) {
    line.payload = null;
    if (!line.link) return;
    URL.revokeObjectURL(line.link.href);
    this.gone.push(line.link);
    line.link = null;
  }

  drop(line) {
    if (line.element) this.gone.push(line.element);
    if (line.payload) {
      this.saved.splice(this.saved.indexOf(line), 1);
      this.forget(line);
    }
  }

  clear() {
    this.lines.splice(0).forEach((line) => this.drop(line));
    redraw();
  }

  // Draws all lines anew, in another language.
  translate() {
    this.root.dataset.empty = texts.empty;
    for (const line of this.lines) line.element = line.link = null;
    this.list.replaceChildren();
    redraw();
  }

  draw() {
    const fresh = this.lines.filter((line) => !line.element);
    if (fresh.length === 0 && this.gone.length === 0) return;
    const now = performance.now();
    if (fresh.length > LOUD_MAX && now - this.drawnAt < FLOOD_MS) return redraw();
    this.drawnAt = now;
    this.gone.splice(0).forEach((element) => element.remove());
    this.root.ariaLive = fresh.length > LOUD_MAX ? 'off' : 'polite';
    this.list.append(...fresh.map((line) => (line.element = line.key ? this.drawnNote(line) : this.drawnMessage(line))));
    this.mustScroll = this.isAtEnd;
  }

  scroll() {
    if (this.mustScroll) this.root.scrollTop = this.root.scrollHeight;
    this.mustScroll = false;
  }

  drawnNote({ at, mood, key, values }) {
    const text = typeof texts[key] === 'function' ? texts[key](...values) : texts[key];
    return element('li', { className: `note ${mood}` }, element('time', { textContent: when(at) }),
      element('span', { className: 'arrow', textContent: '·', ariaHidden: 'true' }), element('span', { className: 'body', textContent: text, dir: 'auto' }));
  }

  drawnMessage(line) {
    const { at, arrow, bytes, own, name, same, time } = line;
    const body = element('span', { className: 'body', dir: 'auto' });
    if (line.text !== undefined) {
      body.textContent = line.text;
      if (line.isCut) body.append(element('em', { textContent: texts.more(size(bytes)) }));
    } else {
      const start = [...line.start].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      body.append(element('strong', { textContent: name || texts.binary }), ' ', element('code', { textContent: start + (bytes > 8 ? ' …' : '') }));
      if (line.payload) {
        line.link = element('a', { className: 'save', textContent: texts.save, download: name || 'message.bin', href: URL.createObjectURL(new Blob([line.payload])) });
        body.append(' ', line.link);
      }
    }
    const facts = [size(bytes)];
    if (time !== null) facts.push(milliseconds(time));
    const meta = element('span', { className: 'meta', textContent: facts.join(' · ') });
    if (own) meta.prepend(element('b', { className: 'own', textContent: texts.yours }), ' ');
    // For the echo: whether what came is what went, byte for byte.
    if (same !== null) meta.append(' ', element('b', { className: same ? 'same' : 'different', textContent: same ? '✓' : '≠', title: same ? texts.same : texts.different }));
    if (same === false) meta.append(' ', texts.different);
    return element('li', { className: own ? 'mine' : '' },
      element('time', { textContent: when(at) }), element('span', { className: 'arrow', textContent: arrow, ariaHidden: 'true' }), body, meta);
  }
}
