// The hub, spoken to by hand: JSON commands, one a line, replies by their ids, and pushes.
const PEOPLE_MAX = 40;          // shown
const HISTORY_SHOWN = 20;       // publications, when a channel is entered
const LOBBY = 'lobby';          // the channel of who asks for none
const AWAY_MS = 3000;           // of the trial
const MISSED = 3;               // publications meanwhile
const INVALID_TOKEN = 3500;

// What stands after `#channel=`. It may not be encoded as it should, which throws nothing here.
const channelOfAddress = () => new URLSearchParams(location.hash.slice(1)).get('channel');

class Hub extends Panel {
  listen() {
    this.bytesMax = 32 * 1024;
    this.channel = channelOfAddress() ?? LOBBY;
    this.find('.channel').value = this.channel;
    this.people = new Map();
    this.find('.needs code').textContent = `sockeye serve --dev`;
    this.find('.dev').hidden = SERVER.hubAccess !== 'dev';
    this.onSubmit('.subscribe', () => {
      const name = this.find('.channel').value;
      if (!this.isOnline) return this.retry.now();
      const before = this.isSubscribed ? this.channel : null;
      if (before !== null) this.leave();
      if (name !== before) this.enter(name);
    });
    this.onSubmit('.token', () => {
      this.token = this.find('.token input').value;
      this.retry.now();
    });
    this.on('.cut', 'click', () => isEnabled(this.find('.cut')) && this.cut());
    this.on('.phone', 'toggle', () => this.askForCode());
    this.retry.now();
  }

  isFinal(code) {
    return code % 1000 >= 500 && code >= 3000;
  }

  get isOpen() {
    return this.isSubscribed;
  }

  get state() {
    if (this.isRefused || !this.socket) return 'closed';
    return this.isOnline && !this.isSubscribed ? 'idle' : super.state;
  }

  get word() {
    if (this.isRefused) return 'refused';
    return this.isSubscribed ? 'subscribed' : this.isOnline ? 'idle' : undefined;
  }

  connect() {
    this.isRefused = SERVER.hubAccess === 'token' && !this.token;
    if (this.isRefused) {
      this.retry.stop();
      return redraw();
    }
    this.isOnline = this.isSubscribed = false;
    this.waiting = new Map();     // what to do with a reply, by id
    this.lastId = 0;
    super.connect();
  }

  ask(command, act = () => {}) {
    this.lastId += 1;
    this.waiting.set(this.lastId, act);
    this.socket.send(JSON.stringify({ id: this.lastId, ...command }));
  }

  handleOpen() {
    this.ask({ connect: { token: this.token, name: 'welcome page' } }, ({ connect, error }) => {
      if (error) {
        suspend(this.socket);
        return this.handleClose({ code: error.temporary ? 3000 : INVALID_TOKEN, reason: error.message, wasClean: true });
      }
      this.retry.handleOpen();
      this.opened = new Date();
      this.ended = null;
      this.isOnline = true;
      this.client = connect.client;
    });
    this.enter(this.channel);
  }

  handleClose(event) {
    this.isOnline = this.isSubscribed = false;
    this.people.clear();
    if ([INVALID_TOKEN, 3501, 3507].includes(event.code)) this.isRefused = true;
    super.handleClose(event);
  }

  // Subscribes: with a position, to go on where the connection ended.
  enter(channel) {
    if (channel !== this.channel) this.position = null;
    this.channel = channel;
    const recovery = this.position ? { recover: true, ...this.position } : {};
    this.ask({ subscribe: { channel, recoverable: true, positioned: true, join_leave: true, ...recovery } }, ({ subscribe, error }) => {
      if (error) return this.complain(error);
      this.handleSubscribed(channel, subscribe);
    });
    redraw();
  }

  handleSubscribed(channel, { epoch = '', offset = 0, publications = [], recoverable, recovered, was_recovering: wasRecovering }) {
    this.isSubscribed = true;
    const first = this.position?.offset ?? 0;
    this.position = recoverable ? { epoch, offset } : null;
    if (recovered) {
      const last = publications.at(-1)?.offset;
      this.log.note('good', 'recovered', publications.length, first + 1, last);
      for (const publication of publications) this.show(publication);
    } else {
      if (wasRecovering) this.log.note('bad', 'unrecovered');
      if (recoverable) this.askForHistory(channel, offset);
      else this.log.note('', 'noHistory');
    }
    this.ask({ presence: { channel } }, ({ presence }) => {
      for (const info of Object.values(presence?.presence ?? {})) this.people.set(info.client, info);
      redraw();
    });
    history.replaceState(null, '', channel === LOBBY ? location.pathname + location.search : `#${new URLSearchParams({ channel })}`);
    this.askForCode();
  }

  // Shows the last publications up to the one at which the subscription begins.
  askForHistory(channel, top) {
    this.ask({ history: { channel, limit: HISTORY_SHOWN, reverse: true } }, ({ history: past }) => {
      for (const publication of past?.publications?.reverse() ?? []) if (publication.offset <= top) this.show(publication);
      this.log.note('good', 'isSubscribed', channel, top);
    });
  }

  leave() {
    this.ask({ unsubscribe: { channel: this.channel } });
    this.isSubscribed = false;
    this.position = null;
    this.people.clear();
    redraw();
  }

  complain({ code, message }) {
    this.log.note('bad', 'problem', code, message);
  }

  // Cuts the connection without a goodbye, and has another client publish meanwhile.
  cut() {
    const { channel } = this;
    suspend(this.socket);
    this.isOnline = this.isSubscribed = false;
    this.people.clear();
    this.ended = null;
    this.retry.handleClose(`retry_ms=${AWAY_MS}`);
    const other = new WebSocket(this.url);
    const say = (id, command) => JSON.stringify({ id, ...command });
    const published = Array.from({ length: MISSED }, (_, index) => say(index + 2, { publish: { channel, data: `${texts.missed}, ${index + 1}` } }));
    other.onopen = () => other.send([say(1, { connect: { name: 'welcome page' } }), ...published].join('\n'));
    other.onmessage = ({ data }) => data.includes(`"id":${MISSED + 1}`) && other.close();
  }

  send(payload) {
    const bytes = this.sendable(payload);
    if (bytes === null) return false;
    // A text goes as JSON, JSON as it is.
    const data = this.find('.kind').value === 'json' ? JSON.parse(payload) : payload;
    this.ask({ publish: { channel: this.channel, data } }, ({ error }) => error && this.complain(error));
    this.count('sent');
    return true;
  }

  received(frame) {
    for (const line of frame.split('\n')) {
      const { id, push, ...reply } = JSON.parse(line);
      if (id) {
        const act = this.waiting.get(id);
        this.waiting.delete(id);
        act?.(reply);
      } else if (push) this.handlePush(push);
      // A ping is an empty object, and so is its answer.
      else this.socket.send('{}');
    }
    redraw();
  }

  handlePush({ channel, pub, join, leave, unsubscribe }) {
    if (channel !== this.channel || !this.isSubscribed) return;
    if (pub) this.show(pub);
    if (join) this.people.set(join.info.client, join.info);
    if (leave) this.people.delete(leave.info.client);
    if (unsubscribe) {
      this.isSubscribed = false;
      this.complain({ code: unsubscribe.code, message: unsubscribe.reason });
      if (unsubscribe.code >= 2500) this.enter(channel);
    }
  }

  nameOf({ user, client }) {
    return user || client.slice(0, 4);
  }

  show({ data, offset, info }) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    const own = info?.client === this.client;
    this.count('received');
    if (this.position && offset > this.position.offset) this.position.offset = offset;
    this.log.message(own ? '→' : '↓', text, bytesOf(text), { own, offset, who: info && this.nameOf(info) });
  }

  // The server draws the code: it knows its public address, and the page needs no library.
  askForCode() {
    if (this.find('.phone').open) live.ask(this.channel);
  }

  showCode({ url, picture }) {
    const hidden = isLoopback(new URL(url).hostname);
    this.find('.phone [data-text=loopback]').hidden = !hidden;
    this.find('.qr').classList.toggle('hidden', hidden);
    this.find('.qr').setAttribute('viewBox', `0 0 ${picture.size} ${picture.size}`);
    this.find('.qr path').setAttribute('d', picture.path);
    Object.assign(this.find('.there'), { href: url, textContent: url });
  }

  draw() {
    if (!this.socket && !this.isRefused) return;
    super.draw();
    const { people, isRefused } = this, needs = this.find('.needs');
    const changes = needs.hidden === isRefused;
    needs.hidden = !isRefused;
    for (const part of ['.subscribe', '.compose', '.drop', '.trial', '.around', '.phone', '.heard']) this.find(part).hidden = isRefused;
    setText(this.find('.token .error'), isRefused && this.token ? texts.badToken : '');
    // What had the focus is gone.
    if (changes && this.token) (isRefused ? this.find('.token input') : this.composer.text).focus();
    setText(this.find('.join'), this.isSubscribed ? texts.unsubscribe : texts.subscribe);
    setEnabled(this.find('.cut'), this.isSubscribed);
    const shown = [...people.values()].slice(0, PEOPLE_MAX).map((info) => {
      const item = element('li', {}, drawnWho(this.nameOf(info)));
      if (info.client === this.client) item.append(' ', element('b', { className: 'own', textContent: texts.yours }));
      return item;
    });
    if (people.size > shown.length) shown.push(element('li', { textContent: `+ ${people.size - shown.length}` }));
    const state = shown.map((item) => item.textContent).join();
    if (state === this.shownPeople) return;
    this.shownPeople = state;
    this.find('.people').replaceChildren(...shown);
  }
}
