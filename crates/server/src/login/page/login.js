// A page that nobody looks at stops asking for codes.
const RENEWALS_MAX = 10;
const BACKOFF_MAX_MS = 15_000;
const BEAT_MS = 25_000;

const find = (selector) => document.querySelector(selector);

let socket = null;
let attempts = 0;
let renewals = 0;
let expires = null;               // milliseconds since 1970
let shown = { state: 'connecting', values: [] };

function show(state, ...values) {
  shown = { state, values };
  find('main').dataset.state = state;
  const text = texts[state];
  find('.word').textContent = typeof text === 'function' ? text(...values) : text;
  const isOver = ['done', 'taking'].includes(state);
  find('.renew').hidden = !['denied', 'expired', 'failed'].includes(state);
  find('.go').hidden = state !== 'done';
  find('.steps').hidden = isOver;
  find('.here').hidden = state !== 'waiting';
  tick();
}

function tick() {
  const counts = expires !== null && ['waiting', 'scanned'].includes(shown.state);
  if (!counts) return (find('.left').textContent = '');
  const seconds = Math.max(0, Math.ceil((expires - Date.now()) / 1000));
  find('.left').textContent = texts.left(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
  if (seconds > 0) return;
  expires = null;
  if (renewals >= RENEWALS_MAX || document.visibilityState !== 'visible') return show('expired');
  renewals += 1;
  renew();
}

function renew() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ url: '/login/renew' }));
  else connect();
}

const HEARD = {
  TICKET({ url, picture, expires_in_ms }) {
    attempts = 0;
    find('.qr').setAttribute('viewBox', `0 0 ${picture.size} ${picture.size}`);
    find('.qr path').setAttribute('d', picture.path);
    Object.assign(find('.address'), { href: url, textContent: url });
    expires = Date.now() + expires_in_ms;
    show('waiting');
  },
  async STATE({ state, code }) {
    if (state !== 'confirmed') return show(state);
    show('taking');
    try {
      // The socket can't set a cookie: this can.
      const answer = await fetch('/login/exchange', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code }),
      });
      if (!answer.ok) return show('failed');
      const { name } = await answer.json();
      remembered(name, 'name');
      show('done', name);
      socket.close();
    } catch {
      show('failed');
    }
  },
};

function connect() {
  const opened = socket = new WebSocket(`${ORIGIN}/login/ws`);
  const beat = setInterval(() => opened.readyState === WebSocket.OPEN && opened.send(JSON.stringify({ url: '/login/heart-beat' })), BEAT_MS);
  opened.onmessage = ({ data }) => {
    const { event, response } = JSON.parse(data);
    HEARD[event]?.(response);
  };
  opened.onclose = () => {
    clearInterval(beat);
    if (opened !== socket || ['done', 'taking', 'denied', 'expired', 'failed'].includes(shown.state)) return;
    expires = null;
    show('lost');
    attempts += 1;
    setTimeout(connect, Math.random() * Math.min(BACKOFF_MAX_MS, 500 * 2 ** attempts));
  };
}

function speak(language) {
  translate(language);
  document.title = `${texts.loginTitle} · Sockeye`;
  show(shown.state, ...shown.values);
}

speak(chosenLanguage());
offerLanguages(speak);
find('.renew').addEventListener('click', () => {
  renewals = 0;
  renew();
});
setInterval(tick, 250);
connect();
