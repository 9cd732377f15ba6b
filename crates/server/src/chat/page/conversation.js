// A conversation: its lines in the order of the server, and how far they are read.
const LINES_MAX = 500;            // of a conversation
const CONVERSATIONS_MAX = 40;
const NAMES_MAX = 1000;           // people whose names are known, to tell two of one name apart

// By key: `r:` and a room's name, `p:` and a person's address.
const conversations = new Map();
let current = null;
let me = { address: '', name: '' };
// What was sent and not acknowledged, by id. It is said again on the next connection; the server knows the id.
const pending = new Map();
// Names by address.
const names = new Map();
// How far each conversation is read, by key: { epoch, seq }.
const reads = storedReads();

function storedReads() {
  const stored = rememberedJson('read');
  const entries = typeof stored === 'object' && stored !== null ? Object.entries(stored) : [];
  return new Map(entries.filter(([, read]) => typeof read?.epoch === 'string' && Number.isSafeInteger(read.seq)));
}

class Conversation {
  constructor(key, title) {
    this.key = key;
    this.title = title;
    this.isRoom = key.startsWith('r:');
    this.lines = [];
    this.people = [];
    this.count = 0;
    this.since = null;            // { since, epoch } of a room, once it is joined
    this.joined = false;
  }

  get address() {
    return this.key.slice(2);
  }

  get unread() {
    const read = reads.get(this.key)?.seq ?? 0;
    return this.lines.reduce((sum, line) => sum + (line.seq > read && line.seq !== Infinity && !line.mine ? 1 : 0), 0);
  }

  // Notes that everything is read that is here.
  markRead() {
    const last = this.lines.findLast((line) => Number.isFinite(line.seq));
    const read = reads.get(this.key);
    if (!read || !last || last.seq <= read.seq) return;
    read.seq = last.seq;
    keepReads();
  }

  // Begins to count what is unread: after what was read before, or else after `seq`.
  countFrom(epoch, seq) {
    if (reads.get(this.key)?.epoch === epoch) return;
    reads.delete(this.key);
    reads.set(this.key, { epoch, seq });
    if (reads.size > CONVERSATIONS_MAX) reads.delete(reads.keys().next().value);
    keepReads();
  }

  // Numbers of another history can't be compared: what is here stays before what comes.
  settle() {
    for (const line of this.lines) if (line.seq !== Infinity) line.seq = undefined;
  }

  // Puts a line where its number says; one without stands at the end, and nothing passes it.
  put(line) {
    let index = this.lines.length;
    while (index > 0 && this.lines[index - 1].seq > line.seq) index -= 1;
    this.lines.splice(index, 0, line);
    if (this.lines.length > LINES_MAX) this.lines.shift();
    changed();
  }

  note(key, ...values) {
    this.put({ note: { key, values }, time: Date.now() });
  }

  // A message of ours has got its number.
  confirm(line, { seq, time, state }) {
    Object.assign(line, { time: time ?? line.time, state, isStale: true });
    if (seq === undefined || line.seq === seq) return changed();
    line.seq = seq;
    const index = this.lines.indexOf(line);
    if (index < 0) return;
    this.lines.splice(index, 1);
    this.put(line);
  }

  // A message as the server tells it; ours is there already if this page sent it.
  hear(message) {
    const { from, id, seq, time, text } = message;
    const mine = from.address === me.address;
    const known = this.lines.find((line) => line.mine === mine && (id ? line.id === id : line.seq === seq));
    if (known) return this.confirm(known, { seq, time, state: known.state === 'waits' ? 'waits' : 'sent' });
    this.put({ id, mine, name: from.name, address: from.address, text, time, seq, state: 'sent' });
  }

  // The person of a private chat is back, and has what waited for them.
  delivered() {
    for (const line of this.lines) if (line.state === 'waits') Object.assign(line, { state: 'sent', isStale: true });
    changed();
  }
}

function keepReads() {
  remembered(JSON.stringify(Object.fromEntries(reads)), 'read');
}

function know({ address, name }) {
  if (!address || names.get(address) === name) return;
  names.delete(address);
  names.set(address, name);
  if (names.size > NAMES_MAX) names.delete(names.keys().next().value);
}

// What tells this person from others of the same name; empty if there are none.
function tag(address, name) {
  for (const [other, otherName] of names) if (otherName === name && other !== address) return ` ${address.slice(0, 4)}`;
  return '';
}

function open(key, title) {
  let conversation = conversations.get(key);
  if (!conversation) {
    if (conversations.size >= CONVERSATIONS_MAX) conversations.delete([...conversations.keys()].find((old) => old.startsWith('p:')) ?? '');
    conversation = new Conversation(key, title);
    conversations.set(key, conversation);
    if (current === null) turnTo(conversation);
  }
  if (title) conversation.title = title;
  changed();
  return conversation;
}

function privately(message) {
  const other = message.from.address === me.address ? message.to : message.from;
  return open(`p:${other.address}`, other.name);
}

function keepRooms() {
  const rooms = [...conversations.values()].filter((conversation) => conversation.isRoom).map((conversation) => conversation.title);
  remembered(JSON.stringify(rooms), 'rooms');
}
