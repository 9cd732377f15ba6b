// What all pages share. Their texts, in both languages, are `TEXTS`.
const ORIGIN = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const UPTIME_MS = 10_000;         // a connection that lasted so long makes the next attempt an early one
const HIDDEN_FRAME_MS = 1000;     // between two drawings of a tab that nobody sees
const TICK_MS = 250;

// Whether an address with this host leads each device to itself.
const isLoopback = (host) => /^127\.|^\[::1]$|(^|\.)localhost$/.test(host);

const find = (selector) => document.querySelector(selector);

let texts = TEXTS.en;

// Elements are made, never parsed: what peers send is only ever text.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

// Sets a text that may be read aloud, and only if it is another one.
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// A disabled button loses the focus; this one keeps it and does nothing.
function setEnabled(button, isEnabled) {
  button.setAttribute('aria-disabled', String(!isEnabled));
}

const isEnabled = (button) => button.getAttribute('aria-disabled') !== 'true';

// Made once, since it is used for every line of a flood.
const CLOCK = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });

function clock(date = new Date()) {
  return CLOCK.format(date);
}

// The time, with the date if it isn't today's.
function when(date) {
  const now = new Date();
  if (date.toDateString() === now.toDateString()) return clock(date);
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' };
  return date.toLocaleString(texts.lang, { ...year, month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false });
}

function minutes(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

// The beginning of a text; an emoji at the end is whole or missing. It is a copy, or the engine would keep the whole text.
function cut(text, length) {
  if (text.length <= length) return text;
  const start = text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
  return new TextDecoder().decode(new TextEncoder().encode(start));
}

// What the browser keeps for this site; storage may be forbidden, and then it lasts as long as the page.
function remembered(value, key = 'language') {
  try {
    if (value) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function chosenLanguage() {
  const asked = new URLSearchParams(location.search).get('lang') || remembered() || navigator.language;
  return asked.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

// Every text that stands in the markup, in the chosen language.
function translate(language) {
  texts = TEXTS[language];
  document.documentElement.lang = texts.lang;
  for (const item of document.querySelectorAll('[data-text]')) item.textContent = texts[item.dataset.text];
  for (const item of document.querySelectorAll('[data-label]')) item.setAttribute('aria-label', texts[item.dataset.label]);
  for (const item of document.querySelectorAll('[data-hint]')) item.placeholder = texts[item.dataset.hint];
  for (const button of document.querySelectorAll('[data-language]')) button.setAttribute('aria-pressed', String(button.dataset.language === language));
}

function offerLanguages(speak) {
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => {
      remembered(button.dataset.language);
      speak(button.dataset.language);
    });
  }
}

// Returns a function that has `draw` called before the next frame, once, however often it is called.
function perFrame(draw) {
  let frame = null;
  let timer = null;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = null;
    draw();
  };
  return () => {
    if (frame !== null) return;
    frame = requestAnimationFrame(run);
    // A hidden tab has no frames.
    timer = setTimeout(run, HIDDEN_FRAME_MS);
  };
}

// Enter sends, Shift+Enter begins a line. While an input method composes, Enter belongs to it (229 in Safari).
function sendOnEnter(field, send) {
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  });
}

// Decides when to connect again: after a random time that grows with every failure, or when the server says (`retry_ms=N`
// in the reason of its Close frame). `connect` connects, `suspend` closes without a word, `changed` is called every moment
// of the wait.
class Reconnection {
  constructor({ connect, suspend, changed }) {
    Object.assign(this, { connect, changed, failures: 0, openedAt: null, at: null, notBefore: 0, suspended: false });
    setInterval(() => this.tick(), TICK_MS);
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.hurry());
    // A page with an open WebSocket is not kept for the back button.
    addEventListener('pagehide', () => {
      this.suspended = true;
      suspend();
    });
    addEventListener('pageshow', ({ persisted }) => {
      if (!persisted) return;
      this.suspended = false;
      this.now();
    });
  }

  handleOpen() {
    this.openedAt = Date.now();
    this.at = null;
  }

  handleClose(reason = '') {
    if (this.suspended) return;
    const now = Date.now();
    if (this.openedAt !== null && now - this.openedAt > UPTIME_MS) this.failures = 0;
    this.openedAt = null;
    const [, asked] = /(?:^|[ ;,])retry_ms=(\d{1,8})(?!\d)/.exec(reason) ?? [];
    // Random, so that the pages of a server that restarts don't all come at the same moment. The server's number is.
    const delay = asked === undefined ? Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures) : Number(asked);
    this.failures += 1;
    this.at = now + delay;
    this.notBefore = asked === undefined ? 0 : this.at;
    this.changed();
  }

  get waits() {
    return this.at !== null;
  }

  get seconds() {
    return this.at === null ? 0 : Math.max(1, Math.ceil((this.at - Date.now()) / 1000));
  }

  stop() {
    this.at = null;
  }

  now() {
    this.at = null;
    this.connect();
  }

  // Something says that it may work now, unless the server has said when.
  hurry() {
    if (this.waits && !this.suspended && Date.now() >= this.notBefore) this.now();
  }

  tick() {
    if (!this.waits || this.suspended) return;
    if (Date.now() >= this.at) this.now();
    else this.changed();
  }
}
