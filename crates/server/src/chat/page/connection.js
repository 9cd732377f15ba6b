// The connection, and what the server says on it.
const BEAT_MS = 25_000;
const DEADLINE_MS = 10_000;       // for any answer to a heart-beat
const AGAIN_MS = 2000;            // until something that the server had no time for is said again
// Below the server's rate, 40 at once and 10 per second, so that it never refuses a message for its haste.
const BURST = 30;
const PER_SECOND = 8;
const UNSAID_MAX = 200;
// These pass by themselves.
const PASSING = ['busy', 'too_much', 'too_fast', 'not_kept', 'not_online', 'not_in_room'];

const CHAT_PATH = document.documentElement.dataset.chatPath;

const link = {
  socket: null,
  isOnline: false,
  isOutage: false,                // a connection was lost, and there is no other yet
  own: null,                      // { since, epoch } of what was said to this person
  wantedName: null,               // until the server has accepted it
  offeredToken: null,             // likewise
  badToken: false,
  unsaid: [],
  credit: BURST,
  creditAt: 0,

  connect() {
    this.unsaid = [];
    this.credit = BURST;
    this.creditAt = Date.now();
    const socket = this.socket = new WebSocket(ORIGIN + CHAT_PATH);
    socket.onopen = () => retry.handleOpen();
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      clearTimeout(this.deadline);
      const { event, response } = JSON.parse(data);
      HEARD[event]?.(response);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.socket) this.lose(code, reason);
    };
    state('connecting');
  },

  lose(code, reason) {
    const wasOnline = this.isOnline;
    this.drop();
    if (code === 1008 && this.badToken) return this.askForToken();
    if (wasOnline) current?.note('broke');
    this.isOutage = true;
    retry.handleClose(reason);
    state('lost');
  },

  // Nothing is heard on this connection any more.
  drop() {
    clearTimeout(this.deadline);
    clearInterval(this.beat);
    clearTimeout(this.saying);
    this.isOnline = false;
    this.socket = null;
    for (const conversation of conversations.values()) conversation.joined = false;
  },

  suspend() {
    const { socket } = this;
    this.drop();
    socket?.close();
  },

  askForToken() {
    const isWrong = token() !== DEFAULT_TOKEN;
    this.offeredToken = null;
    retry.stop();
    state(isWrong ? 'wrongToken' : 'refused');
    complain('.token', () => (isWrong ? texts.tokenRefused : ''));
    find('.token input').focus();
  },

  // Sends in order, no faster than the server takes it.
  say(said) {
    if (this.socket?.readyState !== WebSocket.OPEN || this.unsaid.length >= UNSAID_MAX) return;
    this.unsaid.push(said);
    this.sayNext();
  },

  sayNext() {
    clearTimeout(this.saying);
    const now = Date.now();
    this.credit = Math.min(BURST, this.credit + Math.max(0, now - this.creditAt) * PER_SECOND / 1000);
    this.creditAt = now;
    for (; this.unsaid.length > 0 && this.credit >= 1; this.credit -= 1) {
      this.socket.send(JSON.stringify({ chat_token: token(), ...this.unsaid.shift() }));
    }
    if (this.unsaid.length > 0) this.saying = setTimeout(() => this.socket && this.sayNext(), 1000 / PER_SECOND);
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
        this.lose(1006, '');
        socket.close();
      }, DEADLINE_MS);
    }, BEAT_MS);
  },
};

const DEFAULT_TOKEN = 'abc';
const token = () => link.offeredToken ?? remembered(null, 'chat_token') ?? DEFAULT_TOKEN;

const retry = new Reconnection({
  connect: () => link.connect(),
  suspend: () => link.suspend(),
  lost: () => link.lose(1006, ''),
  changed: () => link.socket === null && state('lost'),
});

const HEARD = {
  async CONNECT() {
    const { socket } = link;
    try {
      const answer = await (await fetch('/socket/chat-uuid')).json();
      if (socket !== link.socket) return;
      const name = link.wantedName ?? remembered(null, 'name');
      link.say({ url: '/chat/online', uuid: answer.data.uuid, since: 0, ...link.own, ...(name && { name }) });
    } catch {
      socket.close();
    }
  },

  ONLINE(response) {
    const { address, name, past, lost } = response;
    const isNew = !link.isOnline;
    const returns = isNew && link.own !== null;
    me = { address, name };
    know(me);
    // Only what the server has accepted is kept.
    if (link.wantedName !== null) remembered(name, 'name');
    if (link.offeredToken !== null) remembered(link.offeredToken, 'chat_token');
    link.wantedName = link.offeredToken = null;
    link.isOnline = true;
    link.isOutage = link.badToken = false;
    link.keepAlive();
    complain('.me');
    if (document.activeElement !== find('.me input')) find('.me input').value = name;
    state('online');
    changed();
    if (!isNew) return;
    if (past) hearPrivate(past);
    if (returns) current?.note('again');
    if (lost > 0) current?.note('dropped', lost);
    // Those that waited are in the past too: they have come.
    if (past && (response.waiting > 0 || lost > 0)) link.say({ url: '/chat/ack', seq: past.seq, epoch: past.epoch });
    for (const conversation of conversations.values()) if (conversation.isRoom) join(conversation);
    for (const { said } of pending.values()) if (said.to) link.say(said);
    if (!current) link.say({ url: '/chat/people' });
  },

  JOINED({ room, past, people, count }) {
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return link.say({ url: '/chat/leave', room });
    const returns = conversation.since !== null;
    const isSame = conversation.since?.epoch === past.epoch;
    if (returns && !isSame) conversation.settle();
    conversation.countFrom(past.epoch, returns ? 0 : past.seq);
    const heard = past.messages.filter((message) => message.from.address !== me.address);
    if (!past.complete) conversation.note('gap');
    if (returns && heard.length > 0) conversation.note('missed', heard.length);
    [...people, ...heard.map(({ from }) => from)].forEach(know);
    for (const message of past.messages) conversation.hear(message);
    Object.assign(conversation, { since: { since: past.seq, epoch: past.epoch }, joined: true, people, count });
    people.forEach(({ address }) => conversations.get(`p:${address}`)?.delivered());
    for (const { said } of pending.values()) if (said.room === room) link.say(said);
    changed();
  },

  PEOPLE({ room, people, count }) {
    if (room) return;
    people.forEach(know);
    everybody = { people, count };
    changed();
  },

  MSG(message) {
    know(message.from);
    conversations.get(`p:${message.from.address}`)?.delivered();
    if (message.room) {
      const conversation = conversations.get(`r:${message.room}`);
      if (!conversation) return;
      conversation.since = { ...conversation.since, since: message.seq };
      conversation.hear(message);
    } else {
      link.own = { ...link.own, since: message.seq };
      const conversation = privately(message);
      if (link.own.epoch) conversation.countFrom(link.own.epoch, 0);
      conversation.hear(message);
    }
  },

  SENT({ id, seq, waits }) {
    const waiting = pending.get(id);
    if (!waiting) return;
    pending.delete(id);
    const { line, conversation } = waiting;
    conversation.confirm(line, { seq: line.seq === Infinity ? seq : line.seq, state: waits ? 'waits' : 'sent' });
  },

  JOIN({ room, person, count }) {
    know(person);
    conversations.get(`p:${person.address}`)?.delivered();
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return;
    const known = conversation.people.find((other) => other.address === person.address);
    if (known) known.name = person.name;
    else {
      conversation.people.push(person);
      if (person.address !== me.address) conversation.note('joined', person.name);
    }
    conversation.count = count;
    changed();
  },

  LEAVE({ room, person, count }) {
    const conversation = conversations.get(`r:${room}`);
    if (!conversation) return;
    conversation.people = conversation.people.filter((other) => other.address !== person.address);
    conversation.count = count;
    conversation.note('left', person.name);
  },

  ERROR({ code, id, url, room }) {
    link.badToken = code === 'bad_token';
    if (link.badToken) return;
    if (PASSING.includes(code)) return later(() => sayAgain({ id, url, room }));
    const waiting = pending.get(id);
    if (waiting) {
      pending.delete(id);
      return waiting.conversation.confirm(waiting.line, { state: { failed: code } });
    }
    if (url === '/chat/online') return refuseName(code);
    const conversation = conversations.get(`r:${room}`);
    if (url === '/chat/join' && conversation) {
      forgetConversation(conversation);
      return complain('.join', () => texts.problem(reason(code)));
    }
    current?.note('problem', code);
  },
};

// Private messages of the meantime, or all that are kept if the page is new.
function hearPrivate(past) {
  if (link.own && link.own.epoch !== past.epoch) {
    for (const conversation of conversations.values()) if (!conversation.isRoom) conversation.settle();
  }
  // What a new page finds is read, unless another one has kept how far somebody has read.
  const seq = link.own === null && reads.size === 0 ? past.seq : 0;
  link.own = { since: past.seq, epoch: past.epoch };
  for (const message of past.messages) {
    know(message.from);
    const conversation = privately(message);
    conversation.countFrom(past.epoch, seq);
    conversation.hear(message);
  }
}

function later(act) {
  const { socket } = link;
  setTimeout(() => socket === link.socket && act(), AGAIN_MS);
}

// Says again what the server had no time for. An error without an id may mean any message.
function sayAgain({ id, url, room }) {
  const conversation = conversations.get(`r:${room}`);
  if (url === '/chat/online') HEARD.CONNECT();
  else if (url === '/chat/join') conversation && !conversation.joined && join(conversation);
  else if (id) pending.has(id) && link.say(pending.get(id).said);
  else for (const { said, conversation: target } of pending.values()) if (target.joined || said.to) link.say(said);
}

// A name that the server doesn't take, perhaps from before its rules changed: it must not lock its owner out.
function refuseName(code) {
  const isWanted = link.wantedName !== null;
  link.wantedName = null;
  if (isWanted) complain('.me', () => texts.problem(reason(code)));
  else forget('name');
  if (!link.isOnline) HEARD.CONNECT();
}

function join(conversation) {
  link.say({ url: '/chat/join', room: conversation.title, ...conversation.since });
}
