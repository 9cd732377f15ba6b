// A page that nobody looks at stops asking for codes.
const RENEWALS_MAX = 10;
const BEAT_MS = 25_000;
// Nothing that the socket says counts any more.
const OVER = ['done', 'taking', 'asksReplace', 'kept', 'loggedOut'];
// The page waits for a click.
const STOPPED = [...OVER, 'denied', 'expired', 'failed'];

const IS_PHONE = navigator.userAgentData?.mobile ?? /Mobi|Android/.test(navigator.userAgent);

let socket = null;
let renewals = 0;
let expires = null;               // milliseconds since 1970
let shown = { state: 'connecting', values: [] };
let code = null;                  // the one that waits for an answer to "switch?"
let isKnown = false;              // this browser is somebody in the chat
let isUnreachable = false;        // the address in the code leads a phone to itself
let showsAnyway = false;          // on a phone

const retry = new Reconnection({
  connect: () => STOPPED.includes(shown.state) ? retry.stop() : connect(),
  suspend() {
    if (socket) socket.onclose = socket.onmessage = null;
    socket?.close();
  },
  lost: () => lose(),
  changed: () => tick(),
});

function show(state, ...values) {
  const before = document.activeElement;
  shown = { state, values };
  find('main').dataset.state = state;
  const text = texts[state];
  setText(find('.word'), typeof text === 'function' ? text(...values) : text);
  const isOver = OVER.includes(state);
  find('.renew').hidden = !['denied', 'expired', 'failed', 'kept', 'loggedOut'].includes(state);
  for (const button of document.querySelectorAll('.replace, .keep')) button.hidden = state !== 'asksReplace';
  find('.go').hidden = state !== 'done';
  const hidesCode = state === 'waiting' && !showsAnyway && (isUnreachable || IS_PHONE);
  find('.code').hidden = hidesCode;
  find('.phone').hidden = !hidesCode || !IS_PHONE;
  find('.unreachable').hidden = !hidesCode || IS_PHONE;
  // Without a code nobody waits, and nothing expires.
  find('.word').hidden = find('.left').hidden = hidesCode;
  find('.steps').hidden = isOver || hidesCode;
  find('.here').hidden = state !== 'waiting';
  find('.known').hidden = !isKnown || isOver;
  find('.known span').textContent = texts.known(remembered(null, 'name'));
  // The button that was pressed may be gone; the focus stays beside what happened.
  if (before !== document.body && before?.checkVisibility?.() === false) find('.word').focus();
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
  if (shown.state === 'lost') return setText(find('.left'), retry.waits ? texts.retrying(retry.seconds) : '');
  const counts = expires !== null && ['waiting', 'scanned'].includes(shown.state);
  if (!counts) return setText(find('.left'), '');
  setText(find('.left'), texts.left(minutes(expires - Date.now())));
  if (expires > Date.now()) return;
  expires = null;
  if (renewals >= RENEWALS_MAX || document.visibilityState !== 'visible') return show('expired');
  renewals += 1;
  renew();
}

function renew() {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ url: '/login/renew' }));
  else {
    show('connecting');
    retry.now();
  }
}

const HEARD = {
  TICKET({ url, picture, expires_in_ms }) {
    isUnreachable = isLoopback(new URL(url).hostname);
    find('.unreachable code').textContent = `sockeye serve --listen 0.0.0.0:${new URL(url).port || 80}`;
    find('.qr').setAttribute('viewBox', `0 0 ${picture.size} ${picture.size}`);
    find('.qr path').setAttribute('d', picture.path);
    Object.assign(find('.address'), { href: url, textContent: url });
    expires = Date.now() + expires_in_ms;
    show('waiting');
  },
  STATE({ state, code, expires_in_ms }) {
    // Who has scanned gets time to type a name.
    if (expires_in_ms) expires = Date.now() + expires_in_ms;
    if (state === 'confirmed') take({ code });
    else show(state);
  },
};

function connect() {
  socket = new WebSocket(`${ORIGIN}/login/ws`);
  socket.onopen = () => retry.handleOpen();
  socket.onmessage = ({ data }) => {
    const { event, response } = JSON.parse(data);
    HEARD[event]?.(response);
  };
  socket.onclose = ({ reason }) => lose(reason);
}

function lose(reason) {
  if (STOPPED.includes(shown.state)) return retry.stop();
  expires = null;
  retry.handleClose(reason);
  show('lost');
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
find('.anyway').addEventListener('click', () => {
  showsAnyway = true;
  show(shown.state, ...shown.values);
});
find('.replace').addEventListener('click', () => take({ code, replace: true }));
find('.keep').addEventListener('click', () => show('kept'));
find('.out').addEventListener('click', logOut);
// A code that expired while nobody looked is replaced when somebody does.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible' || shown.state !== 'expired') return;
  renewals = 0;
  renew();
});
post('/login/identity', {}).then((answer) => answer.json()).then(({ is_known }) => {
  isKnown = is_known === true;
  show(shown.state, ...shown.values);
}).catch(() => {});
setInterval(tick, TICK_MS);
setInterval(() => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ url: '/login/heart-beat' })), BEAT_MS);
retry.now();
