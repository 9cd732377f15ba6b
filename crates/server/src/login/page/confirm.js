// Not in the query: what stands behind the # is sent to nobody.
const ticket = location.hash.slice(1);
// With these the question stays, and can be answered again.
const INLINE = ['name', 'busy', 'too_many', 'network'];

let asked = null;
let expires = null;
let shown = ['looking', 'looking'];
let problem = null;

// Shows a state with a text, or with an error by its code.
function show(state, text) {
  shown = [state, text];
  find('main').dataset.state = state;
  setText(find('.word'), state === 'gone' ? reason(text) : texts[text]);
  find('.asker').hidden = state !== 'asking';
  find('.yes').hidden = state !== 'asking';
  tick();
}

const reason = (code) => texts.errors[code] ?? texts.errors.other(code);

function complain(code) {
  problem = code;
  setText(find('.error'), code ? reason(code) : '');
  find('.yes input').setAttribute('aria-invalid', String(code === 'name'));
}

// Returns the answer, or null if it is an error, which is shown.
async function post(path, said) {
  let error = 'network';
  try {
    const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ticket, ...said }) });
    const data = await answer.json();
    if (answer.ok) return data;
    error = data.error;
  } catch {
    // There is no network, or a proxy answers in its own way.
  }
  if (asked && INLINE.includes(error)) complain(error);
  else show('gone', error);
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
  if (expires === null || shown[0] !== 'asking') return setText(find('.left'), '');
  setText(find('.left'), texts.left(minutes(expires - Date.now())));
  if (expires <= Date.now()) show('gone', 'expired');
}

function speak(language) {
  translate(language);
  document.title = `${texts.confirmTitle} · Sockeye`;
  show(...shown);
  complain(problem);
  describe();
}

// Returns whether the server has accepted the decision.
async function decide(path, said, state) {
  const buttons = document.querySelectorAll('.yes button');
  if (![...buttons].every(isEnabled)) return false;
  buttons.forEach((button) => setEnabled(button, false));
  complain(null);
  const answer = await post(path, { csrf: asked.csrf, ...said });
  buttons.forEach((button) => setEnabled(button, true));
  if (!answer) return false;
  show(state, state);
  find('.word').focus();
  return true;
}

speak(chosenLanguage());
offerLanguages(speak);
find('.yes').addEventListener('submit', async (event) => {
  event.preventDefault();
  const name = event.target.elements.name.value.trim();
  // Only what the server has accepted is kept.
  if (name && await decide('/login/confirm', { name }, 'confirmed')) remembered(name, 'name');
});
find('.no').addEventListener('click', () => decide('/login/deny', {}, 'refused'));
setInterval(tick, TICK_MS);
look();
