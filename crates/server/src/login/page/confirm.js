const find = (selector) => document.querySelector(selector);

// Not in the query: what stands behind the # is sent to nobody.
const ticket = location.hash.slice(1);
let asked = null;
let expires = null;
let shown = ['looking', 'looking'];

function show(state, text) {
  shown = [state, text];
  find('main').dataset.state = state;
  find('.word').textContent = texts[text];
  find('.asker').hidden = state !== 'asking';
  find('.yes').hidden = state !== 'asking';
}

async function post(path, said) {
  const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ticket, ...said }) });
  const data = await answer.json();
  if (answer.ok) return data;
  const known = ['unknown', 'expired', 'used', 'taken'].includes(data.error);
  show('gone', known ? data.error : 'failed');
  return null;
}

async function look() {
  if (!ticket) return show('gone', 'noTicket');
  asked = await post('/login/scan', {});
  if (!asked) return;
  expires = Date.now() + asked.expires_in_ms;
  find('.yes input').value = remembered(null, 'name') ?? '';
  show('asking', 'asks');
  describe();
}

function describe() {
  if (!asked) return;
  find('.browser').textContent = asked.browser;
  find('.ip').textContent = asked.ip;
  find('.time').textContent = new Date(asked.time).toLocaleString(texts.lang);
}

function tick() {
  if (expires === null || shown[0] !== 'asking') return;
  const seconds = Math.max(0, Math.ceil((expires - Date.now()) / 1000));
  find('.left').textContent = texts.left(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
  if (seconds === 0) show('gone', 'expired');
}

function speak(language) {
  translate(language);
  document.title = `${texts.confirmTitle} · Sockeye`;
  show(...shown);
  describe();
}

async function decide(path, said, state) {
  for (const button of document.querySelectorAll('.yes button')) button.disabled = true;
  try {
    if (await post(path, { csrf: asked.csrf, ...said })) show(state, state);
  } catch {
    show('gone', 'failed');
  }
}

speak(chosenLanguage());
offerLanguages(speak);
find('.yes').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = event.target.elements.name.value.trim();
  if (!name) return;
  remembered(name, 'name');
  decide('/login/confirm', { name }, 'confirmed');
});
find('.no').addEventListener('click', () => decide('/login/deny', {}, 'refused'));
setInterval(tick, 250);
look().catch(() => show('gone', 'failed'));
