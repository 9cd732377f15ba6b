// A page that nobody looks at stops asking for codes.
const RENEWALS_MAX = 10;
const BACKOFF_MAX_MS = 15_000;
const BEAT_MS = 25_000;
// Nothing that the socket says counts any more.
const OVER = ['done', 'taking', 'asksReplace', 'kept', 'loggedOut'];

const find = (selector) => document.querySelector(selector);

let socket = null;
let attempts = 0;
let renewals = 0;
let expires = null;               // milliseconds since 1970
let shown = { state: 'connecting', values: [] };
let code = null;                  // the one that waits for an answer to "switch?"
let isKnown = false;              // this browser is somebody in the chat

function show(state, ...values) {
  shown = { state, values };
  find('main').dataset.state = state;
  const text = texts[state];
  find('.word').textContent = typeof text === 'function' ? text(...values) : text;
  const isOver = OVER.includes(state);
  find('.renew').hidden = !['denied', 'expired', 'failed', 'kept', 'loggedOut'].includes(state);
  for (const button of document.querySelectorAll('.replace, .keep')) button.hidden = state !== 'asksReplace';
  find('.go').hidden = state !== 'done';
  find('.steps').hidden = isOver;
  find('.here').hidden = state !== 'waiting';
  find('.known').hidden = !isKnown || isOver;
  find('.known span').textContent = texts.known(remembered(null, 'name'));
  tick();
}

function post(path, said) {
  return fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(said) });
}

// The socket can't set a cookie: this can.
async function take(said) {
  show('taking');
  try {
    const answer = await post('/login/exchange', said);
    const data = await answer.json();
    if (data.error === 'replaces') {
      code = said.code;
      return show('asksReplace', remembered(null, 'name'));
    }
    if (!answer.ok) return show('failed');
    remembered(data.name, 'name');
    show('done', data.name);
    socket.close();
  } catch {
    show('failed');
  }
}

async function logOut() {
  try {
    if (!(await post('/login/logout', {})).ok) return show('failed');
  } catch {
    return show('failed');
  }
  forget('name');
  isKnown = false;
  expires = null;
  show('loggedOut');
  socket.close();
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
  STATE({ state, code }) {
    if (state === 'confirmed') take({ code });
    else show(state);
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
    if (opened !== socket || [...OVER, 'denied', 'expired', 'failed'].includes(shown.state)) return;
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
  // Without its cookie the browser would be refused: the page brings another one.
  if (shown.state === 'loggedOut') location.reload();
  else renew();
});
find('.replace').addEventListener('click', () => take({ code, replace: true }));
find('.keep').addEventListener('click', () => show('kept'));
find('.out').addEventListener('click', logOut);
post('/login/identity', {}).then((answer) => answer.json()).then(({ is_known }) => {
  isKnown = is_known === true;
  show(shown.state, ...shown.values);
}).catch(() => {});
setInterval(tick, 250);
connect();
