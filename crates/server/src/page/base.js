// What all pages share. Their texts, in both languages, are `TEXTS`.
const ORIGIN = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const UPTIME_MS = 10_000;         // a connection that lasted so long makes the next attempt an early one
const ASKED_MS_MAX = 3_600_000;   // a server that asks for more is mistaken
const CONNECT_TIMEOUT_MS = 10_000;
const SLEEP_MS = 75_000;          // a timer so late means that the machine slept; a hidden tab's come once a minute
const HIDDEN_FRAME_MS = 1000;     // between two drawings of a tab that nobody sees
const TICK_MS = 250;

// Whether an address with this host leads each device to itself.
const isLoopback = (host) => /^127\.|^\[::1]$|(^|\.)localhost$/.test(host);

// Milliseconds. Never goes back, as the clock does when it is set.
const monotonic = (() => {
  let last = 0, lost = 0;
  return () => {
    const now = Date.now();
    lost += Math.max(0, last - now);
    last = now;
    return now + lost;
  };
})();

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

// Decides when to connect again, by the rules of ReconnectingSocket in clients/js, for which a page has no room: after a random
// time that grows with every failure, on top of what the server asks for (`retry_ms=N` in the reason of its Close frame);
// earlier when the network is back or somebody looks at the page. It gives up an attempt that takes too long, and a
// connection whose network is lost or over which the machine slept. Pages do the rest that the class does: which codes are
// final, whether the server still answers, and what waits to be sent.
class Reconnection {
  // `connect` connects, `suspend` closes without a word, `lost` shows that a connection was given up and calls `handleClose`,
  // `changed` is called every moment of the wait.
  constructor(page) {
    Object.assign(this, page, { phase: 'stopped', failures: 0, notBefore: 0, tickedAt: monotonic() });
    setInterval(() => this.tick(), TICK_MS);
    addEventListener('online', () => this.handleOnline());
    addEventListener('offline', () => this.giveUp());
    // Not more often than the first delay, even if somebody switches tabs all the time.
    const handleVisible = () => document.visibilityState === 'visible' && this.advanceTo(this.dialledAt + BACKOFF_FIRST_MS);
    for (const event of ['visibilitychange', 'resume']) document.addEventListener(event, handleVisible);
    // A page with an open WebSocket is not kept for the back button.
    addEventListener('pagehide', () => {
      this.isSuspended = this.phase !== 'stopped';
      this.suspend();
    });
    addEventListener('pageshow', () => {
      if (!this.isSuspended) return;
      this.isSuspended = false;
      this.dial();
    });
  }

  handleOpen() {
    this.phase = 'open';
    this.openedAt = monotonic();
  }

  handleClose(reason = '') {
    if (this.isSuspended) return;
    const now = monotonic();
    if (this.phase === 'open' && now - this.openedAt >= UPTIME_MS) this.failures = 0;
    const asked = Number(/(?:^|[\s,;()])retry_ms=(\d+)(?=$|[\s,;()])/.exec(reason)?.[1] ?? 0);
    this.notBefore = now + Math.min(asked, ASKED_MS_MAX);
    // Random, since the pages of a server that restarts would all come at the same moment.
    this.at = this.notBefore + Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures);
    this.failures += 1;
    this.phase = 'waiting';
    this.changed();
  }

  handleOnline() {
    this.failures = 0;
    // An attempt that began without a network may take long to fail.
    if (this.phase === 'dialling') this.dial();
    else this.advanceTo(0);
  }

  get waits() {
    return this.phase === 'waiting';
  }

  get seconds() {
    return Math.max(1, Math.ceil((this.at - monotonic()) / 1000));
  }

  stop() {
    this.phase = 'stopped';
  }

  // Connects because somebody asks for it; an open connection is replaced.
  now() {
    this.failures = 0;
    this.dial();
  }

  dial() {
    this.suspend();
    this.phase = 'dialling';
    this.dialledAt = monotonic();
    this.connect();
  }

  // Has the next attempt begin at this time, but not before the server wants it.
  advanceTo(time) {
    this.at = Math.min(this.at, Math.max(time, this.notBefore));
    this.tick();
  }

  giveUp() {
    if (this.isSuspended || !['dialling', 'open'].includes(this.phase)) return;
    this.suspend();
    this.lost();
  }

  tick() {
    const now = monotonic();
    const slept = now - this.tickedAt >= SLEEP_MS;
    this.tickedAt = now;
    if (this.isSuspended) return;
    if (this.waits) return now >= this.at ? this.dial() : this.changed();
    if (this.phase === 'open' ? slept : now - this.dialledAt >= CONNECT_TIMEOUT_MS) this.giveUp();
  }
}
