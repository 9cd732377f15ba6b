// Bounds, so that a page left open for a week stays as it was.
const LINES_MAX = 500;            // of a conversation
const CONVERSATIONS_MAX = 40;
const PENDING_MAX = 50;           // messages that wait to be sent
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const UPTIME_MS = 10_000;         // a connection that lasted so long makes the next attempt an early one
const BEAT_MS = 25_000;
const DEADLINE_MS = 10_000;       // for any answer to a heart-beat

const CHAT_PATH = document.documentElement.dataset.chatPath;
const find = (selector) => document.querySelector(selector);

// By key: `r:` and a room's name, `p:` and a person's address.
const conversations = new Map();
let current = null;
let me = { address: '', name: '' };
// What was sent and not acknowledged, by id. It is said again on the next connection; the server knows the id.
const pending = new Map();

class Conversation {
  constructor(key, title) {
    this.key = key;
    this.title = title;
    this.isRoom = key.startsWith('r:');
    this.lines = [];
    this.people = [];
    this.count = 0;
    this.unread = 0;
    this.since = null;            // { since, epoch } of a room, once it is joined
    this.joined = false;
  }

  add(line) {
    this.lines.push(line);
    if (this.lines.length > LINES_MAX) this.lines.shift();
    if (this === current && document.visibilityState === 'visible') show(line);
    else if (!line.note && !line.mine) this.unread += 1;
    if (this === current && document.visibilityState !== 'visible') show(line);
  }

  note(key, ...values) {
    this.add({ note: { key, values }, time: Date.now() });
  }

  // A message as the server tells it; ours is there already if this page sent it.
  hear(message) {
    const mine = message.from.address === me.address;
    const known = message.id && this.lines.find((line) => line.id === message.id && line.mine === mine);
    if (known) {
      Object.assign(known, { time: message.time, state: known.state === 'waits' ? 'waits' : 'sent' });
      return redraw(known);
    }
    this.add({ id: message.id, mine, name: message.from.name, text: message.text, time: message.time, state: 'sent' });
  }
}

// ---- The connection -----------------------------------------------------------------------------------

const link = {
  socket: null,
  attempts: 0,
  opened: 0,
  again: null,                    // when it is tried again, in milliseconds since 1970
  wasOnline: false,
  own: null,                      // { since, epoch } of what was said to this person

  connect() {
    this.again = null;
    this.opened = Date.now();
    const socket = this.socket = new WebSocket(ORIGIN + CHAT_PATH);
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      clearTimeout(this.deadline);
      const { event, response } = JSON.parse(data);
      HEARD[event]?.(response);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.socket) this.lose(code);
    };
    state('connecting');
  },

  lose(code) {
    clearTimeout(this.deadline);
    clearInterval(this.beat);
    if (this.wasOnline) current?.note('broke');
    this.wasOnline = false;
    for (const conversation of conversations.values()) conversation.joined = false;
    this.socket = null;
    if (code === 1008 && this.badToken) return state('refused');
    if (Date.now() - this.opened > UPTIME_MS) this.attempts = 0;
    // Full jitter, so that the pages of a server that restarts don't all come at the same moment.
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.attempts);
    this.attempts += 1;
    this.again = Date.now() + Math.random() * ceiling;
    state('lost');
  },

  // Something says that it may work now.
  hurry() {
    if (this.again !== null) this.connect();
  },

  tick() {
    if (this.again === null) return;
    if (Date.now() >= this.again) this.connect();
    else state('lost');
  },

  say(said) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ chat_token: token(), ...said }));
  },

  keepAlive() {
    clearInterval(this.beat);
    this.beat = setInterval(() => {
      this.say({ url: '/chat/heart-beat' });
      clearTimeout(this.deadline);
      const { socket } = this;
      // A connection that died without a word: close() would wait for an answer too.
      this.deadline = setTimeout(() => {
        if (socket !== this.socket) return;
        this.lose(1006);
        socket.close();
      }, DEADLINE_MS);
    }, BEAT_MS);
  },
};

// ---- What the server says -----------------------------------------------------------------------------

const HEARD = {
  async CONNECT() {
    const { socket } = link;
    try {
      const answer = await (await fetch('/socket/chat-uuid')).json();
      if (socket !== link.socket) return;
      const name = remembered(null, 'name');
      link.say({ url: '/chat/online', uuid: answer.data.uuid, since: 0, ...link.own, ...(name && { name }) });
    } catch {
      socket.close();
    }
  },

  ONLINE(response) {
    const { address, name, past, lost } = response;
    const returns = link.wasOnline === false && link.own !== null;
    me = { address, name };
    link.wasOnline = true;
    link.badToken = false;
    link.keepAlive();
    if (document.activeElement !== find('.me input')) find('.me input').value = name;
    state('online');
    if (past) {
      const isSame = link.own?.epoch === past.epoch;
      link.own = { since: past.seq, epoch: past.epoch };
      for (const message of past.messages) {
        const conversation = privately(message);
        if (returns && isSame && message.from.address !== address) conversation.unread += conversation === current ? 0 : 1;
        conversation.hear(message);
      }
    }
    if (returns) current?.note('again');
    if (lost > 0) current?.note('dropped', lost);
    // Those that waited are in the past too: they have come.
    if (past && (response.waiting > 0 || lost > 0)) link.say({ url: '/chat/ack', seq: past.seq, epoch: past.epoch });
    for (const conversation of conversations.values()) if (conversation.isRoom) join(conversation);
    for (const { said } of pending.values()) if (said.to) link.say(said);
    render();
  },

  JOINED({ room, past, people, count }) {
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return link.say({ url: '/chat/leave', room });
    const returns = conversation.since !== null;
    const heard = past.messages.filter((message) => message.from.address !== me.address);
    if (!past.complete) conversation.note('gap');
    if (returns && heard.length > 0) conversation.note('missed', heard.length);
    for (const message of past.messages) conversation.hear(message);
    if (!returns) conversation.unread = 0;
    Object.assign(conversation, { since: { since: past.seq, epoch: past.epoch }, joined: true, people, count });
    for (const { said } of pending.values()) if (said.room === room) link.say(said);
    render();
  },

  MSG(message) {
    if (message.room) {
      const conversation = conversations.get(`r:${message.room}`);
      if (!conversation) return;
      conversation.since = { ...conversation.since, since: message.seq };
      conversation.hear(message);
    } else {
      link.own = { ...link.own, since: message.seq };
      privately(message).hear(message);
    }
    render();
  },

  SENT({ id, waits }) {
    const waiting = pending.get(id);
    if (!waiting) return;
    pending.delete(id);
    waiting.line.state = waits ? 'waits' : 'sent';
    redraw(waiting.line);
  },

  JOIN({ room, person, count }) {
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return;
    const known = conversation.people.find((other) => other.address === person.address);
    if (known) known.name = person.name;
    else {
      conversation.people.push(person);
      if (person.address !== me.address) conversation.note('came', person.name);
    }
    conversation.count = count;
    render();
  },

  LEAVE({ room, person, count }) {
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return;
    conversation.people = conversation.people.filter((other) => other.address !== person.address);
    conversation.count = count;
    conversation.note('went', person.name);
    render();
  },

  async ERROR({ code, message, id, url, room }) {
    link.badToken = code === 'bad_token';
    if (url === '/chat/online' && ['bad_field', 'too_long'].includes(code)) {
      // A name that the server doesn't take, perhaps from before its rules changed: it must not lock its owner out.
      try { localStorage.removeItem('name'); } catch { /* nothing is remembered */ }
      if (!link.wasOnline) await HEARD.CONNECT();
    }
    // These pass by themselves, and the page is nowhere until they do.
    if (['busy', 'too_much', 'too_fast', 'not_kept'].includes(code) && ['/chat/online', '/chat/join'].includes(url)) {
      const { socket } = link;
      return setTimeout(() => {
        if (socket !== link.socket) return;
        const conversation = conversations.get(`r:${room}`);
        if (url === '/chat/online') HEARD.CONNECT();
        else if (conversation && !conversation.joined) join(conversation);
      }, 2000);
    }
    const waiting = pending.get(id);
    if (waiting) {
      // These pass by themselves.
      if (['busy', 'too_fast', 'not_kept'].includes(code)) return setTimeout(() => pending.has(id) && link.say(waiting.said), 2000);
      pending.delete(id);
      waiting.line.state = { failed: message };
      redraw(waiting.line);
    } else if (code !== 'bad_token' && code !== 'too_fast') {
      current?.note('failed', message);
    }
  },
};

function privately(message) {
  const other = message.from.address === me.address ? message.to : message.from;
  return open(`p:${other.address}`, other.name);
}

// ---- What the user does -------------------------------------------------------------------------------

function open(key, title) {
  let conversation = conversations.get(key);
  if (!conversation) {
    if (conversations.size >= CONVERSATIONS_MAX) conversations.delete([...conversations.keys()].find((old) => old.startsWith('p:')) ?? '');
    conversation = new Conversation(key, title);
    conversations.set(key, conversation);
    if (current === null) turnTo(conversation);
  }
  if (title) conversation.title = title;
  return conversation;
}

function join(conversation) {
  link.say({ url: '/chat/join', room: conversation.title, ...conversation.since });
}

function enter(room) {
  const conversation = open(`r:${room}`, room);
  if (!conversation.joined) join(conversation);
  turnTo(conversation);
  keepRooms();
}

function leave(conversation) {
  conversations.delete(conversation.key);
  if (conversation.isRoom) link.say({ url: '/chat/leave', room: conversation.title });
  turnTo(conversations.values().next().value ?? null);
  keepRooms();
}

function send(text) {
  if (pending.size >= PENDING_MAX) {
    current.note('full');
    return false;
  }
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const target = current.isRoom ? { room: current.title } : { to: current.key.slice(2) };
  const said = { url: '/chat/msg', ...target, text, id };
  const line = { id, mine: true, name: me.name, text, time: Date.now(), state: 'pending' };
  pending.set(id, { said, line });
  current.add(line);
  if (link.wasOnline && (current.joined || !current.isRoom)) link.say(said);
  return true;
}

function keepRooms() {
  const rooms = [...conversations.values()].filter((conversation) => conversation.isRoom).map((conversation) => conversation.title);
  remembered(JSON.stringify(rooms), 'rooms');
}

const token = () => remembered(null, 'chat_token') ?? 'abc';

// ---- What is seen -------------------------------------------------------------------------------------

function state(name) {
  document.body.dataset.state = name;
  const seconds = link.again === null ? 0 : Math.max(1, Math.ceil((link.again - Date.now()) / 1000));
  const word = name === 'lost' ? texts.lost(seconds) : texts[name];
  if (find('.state .word').textContent !== word) find('.state .word').textContent = word;
  find('.now').hidden = name !== 'lost';
  find('.token').hidden = name !== 'refused';
}

function turnTo(conversation) {
  current = conversation;
  if (conversation) conversation.unread = 0;
  find('.log').replaceChildren(...(conversation?.lines ?? []).map(drawn));
  find('.log').scrollTop = find('.log').scrollHeight;
  render();
}

const elements = new WeakMap();

function drawn(line) {
  const made = element('li');
  elements.set(line, made);
  fill(made, line);
  return made;
}

function fill(made, line) {
  if (line.note) {
    made.className = `note ${line.note.key}`;
    made.replaceChildren(typeof texts[line.note.key] === 'function' ? texts[line.note.key](...line.note.values) : texts[line.note.key]);
    return;
  }
  made.className = line.mine ? 'mine' : 'theirs';
  const state = line.state?.failed ? texts.failed(line.state.failed) : line.state === 'sent' ? '' : texts[line.state];
  made.classList.toggle('pending', line.state === 'pending');
  made.classList.toggle('failed', Boolean(line.state?.failed));
  made.replaceChildren(
    element('b', { textContent: line.mine ? texts.you : line.name }),
    element('time', { textContent: clock(new Date(line.time)), title: new Date(line.time).toLocaleString(texts.lang) }),
    element('span', { className: 'text', textContent: line.text }),
    ...(state ? [element('em', { textContent: state })] : []),
  );
}

function redraw(line) {
  const made = elements.get(line);
  if (made) fill(made, line);
}

function show(line) {
  const log = find('.log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(drawn(line));
  while (log.children.length > LINES_MAX) log.firstElementChild.remove();
  if (atEnd || line.mine) log.scrollTop = log.scrollHeight;
}

function render() {
  const unread = [...conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ''}${texts.title} · Sockeye`;
  find('.conversations').replaceChildren(...[...conversations.values()].map((conversation) => {
    const button = element('button', { type: 'button' }, element('span', { className: 'kind', textContent: conversation.isRoom ? '#' : '@', ariaHidden: 'true' }), conversation.title);
    if (conversation.unread) button.append(element('b', { className: 'unread', textContent: conversation.unread }));
    button.setAttribute('aria-current', String(conversation === current));
    button.addEventListener('click', () => turnTo(conversation));
    return element('li', {}, button);
  }));
  find('#talk-title').textContent = !current ? texts.nowhere : current.isRoom ? `# ${current.title}` : texts.privately(current.title);
  find('.leave').hidden = !current;
  find('.leave').textContent = current?.isRoom ? texts.leave : texts.close;
  find('.compose').hidden = !current;
  find('.log').dataset.empty = current ? texts.empty : '';
  const people = current?.isRoom ? current.people : [];
  find('aside').hidden = !current?.isRoom;
  find('.count').textContent = current?.isRoom ? String(current.count) : '';
  find('.people').replaceChildren(...people.map((person) => {
    if (person.address === me.address) return element('li', {}, element('span', { textContent: `${person.name} (${texts.you})` }));
    const button = element('button', { type: 'button', textContent: person.name });
    button.addEventListener('click', () => {
      turnTo(open(`p:${person.address}`, person.name));
      find('.compose input').focus();
    });
    return element('li', {}, button);
  }));
}

function speak(language) {
  translate(language);
  state(document.body.dataset.state);
  turnTo(current);
}

function listen() {
  const onSubmit = (selector, act) => find(selector).addEventListener('submit', (event) => {
    event.preventDefault();
    act(event.target.elements);
  });
  onSubmit('.compose', ({ text }) => {
    if (current && text.value.trim() && send(text.value)) text.value = '';
    text.focus();
  });
  onSubmit('.join', ({ room }) => {
    const name = room.value.trim();
    if (name) enter(name);
    room.value = '';
  });
  onSubmit('.me', ({ name }) => name.blur());
  find('.me input').addEventListener('change', async ({ target }) => {
    const name = target.value.trim();
    if (!name) return (target.value = me.name);
    remembered(name, 'name');
    try {
      const answer = await (await fetch('/socket/chat-uuid')).json();
      link.say({ url: '/chat/online', uuid: answer.data.uuid, name });
    } catch {
      // It is said with the next connection.
    }
  });
  onSubmit('.token', ({ token }) => {
    remembered(token.value, 'chat_token');
    link.badToken = false;
    link.connect();
  });
  find('.leave').addEventListener('click', () => current && leave(current));
  find('.now').addEventListener('click', () => link.hurry());
  addEventListener('online', () => link.hurry());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible') return;
    link.hurry();
    if (current) current.unread = 0;
    render();
  });
  addEventListener('hashchange', () => location.hash.length > 1 && enter(decodeURIComponent(location.hash.slice(1))));
}

function start() {
  texts = TEXTS[chosenLanguage()];
  const rooms = new Set(JSON.parse(remembered(null, 'rooms') ?? '["lobby"]'));
  if (location.hash.length > 1) rooms.add(decodeURIComponent(location.hash.slice(1)));
  for (const room of rooms) open(`r:${room}`, room);
  if (location.hash.length > 1) turnTo(conversations.get(`r:${decodeURIComponent(location.hash.slice(1))}`));
  speak(chosenLanguage());
  offerLanguages(speak);
  listen();
  setInterval(() => link.tick(), 250);
  link.connect();
}

start();
