// What a visitor writes: text, JSON or hex, once or every second.
const HISTORY_MAX = 50;         // messages that the arrow keys bring back
const EVERY_MS = 1000;

class Composer {
  constructor(panel) {
    const root = this.root = panel.root;
    this.panel = panel;
    this.history = [];
    this.at = 0;
    const submit = () => this.submit();
    sendOnEnter(this.text, submit);
    root.querySelector('.compose').addEventListener('submit', (event) => {
      event.preventDefault();
      // Before the clock starts: it may lay the page out.
      this.text.focus();
      submit();
    });
    this.text.addEventListener('keydown', (event) => this.recall(event));
    const every = this.every = root.querySelector('.every input');
    every.addEventListener('change', () => {
      clearInterval(this.timer);
      if (every.checked) this.timer = setInterval(() => this.repeat(), EVERY_MS);
    });
  }

  get text() {
    return this.root.querySelector('.text');
  }

  // What is to be sent, or null, after a complaint.
  payload() {
    const { value } = this.text, kind = this.root.querySelector('.kind').value;
    let isBad = false, payload = value;
    if (kind === 'json') {
      try {
        JSON.parse(value);
      } catch {
        isBad = true;
      }
    } else if (kind === 'hex') {
      const digits = value.replace(/\s/g, '');
      isBad = !/^([\da-f]{2})*$/i.test(digits);
      payload = Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
    }
    this.text.ariaInvalid = String(isBad);
    setText(this.root.querySelector('.compose .error'), isBad ? texts.bad(texts[kind]) : '');
    return isBad ? null : payload;
  }

  submit() {
    const { text, history } = this, { value } = text;
    const payload = this.payload();
    if (payload === null) return;
    // Before it is sent, since that starts the clock.
    if (!this.every.checked) text.value = '';
    if (!this.panel.send(payload)) return void (text.value = value);
    history.push(value);
    if (history.length > HISTORY_MAX) history.shift();
    this.at = history.length;
  }

  // Sends what stands in the field, or else the time.
  repeat() {
    if (!this.panel.isOpen) return;
    const payload = this.text.value ? this.payload() : clock();
    if (payload !== null) this.panel.send(payload);
  }

  // The arrow keys bring back what was sent, while the field has nothing else.
  recall(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const { text, history, at } = this;
    if (!step || event.isComposing || (text.value && text.value !== history[at])) return;
    this.at = Math.max(0, Math.min(history.length, at + step));
    text.value = history[this.at] ?? '';
    event.preventDefault();
  }

  stop() {
    this.every.checked = false;
    clearInterval(this.timer);
  }
}
