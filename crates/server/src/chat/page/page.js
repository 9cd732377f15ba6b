// What the user does.
const PENDING_MAX = 50;           // messages that wait to be sent
const ROOMS_MAX = 20;             // that are joined again when the page is opened
const TEXT_CHARACTERS_MAX = 2000; // as the server counts them

function enter(room) {
  complain('.join');
  const conversation = open(`r:${room}`, room);
  if (!conversation.joined) join(conversation);
  turnTo(conversation);
  keepRooms();
}

function forgetConversation(conversation) {
  conversations.delete(conversation.key);
  for (const [id, waiting] of pending) if (waiting.conversation === conversation && conversation.isRoom) pending.delete(id);
  if (conversation === current) turnTo(conversations.values().next().value ?? null);
  keepRooms();
  changed();
}

function leave(conversation) {
  if (conversation.isRoom) link.say({ url: '/chat/leave', room: conversation.title });
  forgetConversation(conversation);
  find(current ? '.compose .text' : '.join input').focus();
}

function send(text) {
  if (pending.size >= PENDING_MAX) {
    current.note('full', PENDING_MAX);
    return false;
  }
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const target = current.isRoom ? { room: current.title } : { to: current.address };
  const said = { url: '/chat/msg', ...target, text, id };
  const line = { id, mine: true, name: me.name, receiver: current.title, text, time: Date.now(), seq: Infinity, state: 'pending' };
  pending.set(id, { said, line, conversation: current });
  current.put(line);
  if (link.isOnline && (current.joined || !current.isRoom)) link.say(said);
  return true;
}

// Characters above the limit. Counted as the server counts, so an emoji is not two.
const excess = (text) => Math.max(0, [...text].length - TEXT_CHARACTERS_MAX);

function compose() {
  const text = find('.compose .text');
  if (!current || !text.value.trim() || excess(text.value) > 0) return;
  if (send(text.value)) text.value = '';
}

async function rename(name) {
  link.wantedName = name;
  try {
    const answer = await (await fetch('/socket/chat-uuid')).json();
    link.say({ url: '/chat/online', uuid: answer.data.uuid, name });
  } catch {
    // It is said with the next connection.
  }
}

// Gives the identity up. The login page brings the cookie that a request to log out needs.
async function logOut() {
  if (!confirm(texts.asksOut)) return;
  await fetch('/login');
  await fetch('/login/logout', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  for (const key of ['name', 'read']) forget(key);
  location.reload();
}

function listen() {
  const onSubmit = (selector, act) => find(selector).addEventListener('submit', (event) => {
    event.preventDefault();
    act(event.target.elements);
  });
  const text = find('.compose .text');
  sendOnEnter(text, compose);
  text.addEventListener('input', () => {
    const count = excess(text.value);
    complain('.compose', () => (count > 0 ? texts.tooLong(count) : ''));
  });
  onSubmit('.compose', () => {
    compose();
    text.focus();
  });
  onSubmit('.join', ({ room }) => {
    const name = room.value.trim();
    if (name) enter(name);
    room.value = '';
  });
  onSubmit('.me', ({ name }) => name.blur());
  find('.me input').addEventListener('change', ({ target }) => {
    const name = target.value.trim();
    complain('.me');
    if (name) rename(name);
    else target.value = me.name;
  });
  onSubmit('.token', ({ token }) => {
    link.offeredToken = token.value;
    link.badToken = false;
    complain('.token');
    retry.now();
  });
  find('.leave').addEventListener('click', () => current && leave(current));
  find('.now').addEventListener('click', () => {
    retry.now();
    // The button is gone.
    find('.log').focus();
  });
  find('.back').addEventListener('click', () => {
    document.body.dataset.view = 'list';
    (find('.conversations [aria-current=true]') ?? find('.join input')).focus();
  });
  find('.out').addEventListener('click', logOut);
  find('.newer').addEventListener('click', () => {
    isAtEnd = true;
    changed();
    find('.log').focus();
  });
  // A frame begins with its scroll events, so this forces no layout of its own.
  find('.log').addEventListener('scroll', ({ target }) => {
    isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < AT_END_PX;
    if (!isAtEnd) return;
    hasNewer = false;
    find('.newer').hidden = true;
  });
  document.addEventListener('visibilitychange', () => changed());
  addEventListener('hashchange', () => roomOfAddress() && enter(roomOfAddress()));
}

// What stands after the #. It may not be encoded as it should.
function roomOfAddress() {
  const text = location.hash.slice(1);
  try {
    return decodeURIComponent(text).trim();
  } catch {
    return text.trim();
  }
}

function storedRooms() {
  const rooms = rememberedJson('rooms');
  if (!Array.isArray(rooms)) return ['lobby'];
  return rooms.filter((room) => typeof room === 'string' && room.trim()).slice(0, ROOMS_MAX);
}

function start() {
  const language = chosenLanguage();
  texts = TEXTS[language];
  const asked = roomOfAddress();
  for (const room of new Set([...storedRooms(), ...(asked ? [asked] : [])])) open(`r:${room}`, room);
  if (asked) turnTo(conversations.get(`r:${asked}`));
  speak(language);
  offerLanguages(speak);
  listen();
  retry.now();
}

start();
