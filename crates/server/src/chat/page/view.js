// What is seen. Whatever changes, the page is drawn once before the next frame.
const AT_END_PX = 60;
const LOUD_MAX = 3;               // lines of a frame that are read aloud

let everybody = { people: [], count: 0 };
let drawn = new WeakMap();
let isAtEnd = true;
let hasNewer = false;
let lastLine = null;
const changed = perFrame(draw);

const reason = (code) => texts.errors[code] ?? texts.errors.other(code);

// What is wrong with the forms: functions that return it, in the language of the page.
const complaints = new Map();

// Shows what is wrong with a form, or that nothing is any more.
function complain(form, describe = () => '') {
  const text = describe();
  complaints.set(form, describe);
  setText(find(`${form} .error`), text);
  find(`${form} :is(input, textarea)`).setAttribute('aria-invalid', String(text !== ''));
}

function state(name) {
  document.body.dataset.state = name === 'wrongToken' ? 'refused' : name;
  // While it is tried again and again, the word stays: it is read aloud.
  setText(find('.state .word'), name === 'connecting' && link.isOutage ? texts.lost : texts[name]);
  setText(find('.link .countdown'), retry.waits ? texts.retrying(retry.seconds) : '');
  find('.now').hidden = !retry.waits;
  find('.token').hidden = !['refused', 'wrongToken'].includes(name);
  shownState = name;
}

let shownState = 'connecting';

function turnTo(conversation) {
  current = conversation;
  isAtEnd = true;
  hasNewer = false;
  lastLine = null;
  mustReveal = true;
  document.body.dataset.view = conversation ? 'talk' : 'list';
  if (!conversation) link.say({ url: '/chat/people' });
  changed();
}

let mustReveal = false;

// Makes the list consist of these elements. Those that stay keep their place, the focus and the mouse button pressed on them.
function arrange(list, made) {
  const wanted = new Set(made);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  let child = list.firstElementChild;
  for (const next of made) {
    if (next === child) child = child.nextElementSibling;
    else list.insertBefore(next, child);
  }
}

// The elements of a list, one for each key, filled anew.
function kept(elements, items, keyOf, make, fill) {
  const made = items.map((item) => {
    const key = keyOf(item);
    if (!elements.has(key)) elements.set(key, make(key));
    fill(elements.get(key), item);
    return elements.get(key);
  });
  const keys = new Set(items.map(keyOf));
  for (const key of [...elements.keys()]) if (!keys.has(key)) elements.delete(key);
  return made;
}

const person = (name, address) => [element('bdi', { textContent: name }), element('span', { className: 'tag', textContent: tag(address, name) })];

// Replaces the children if they say something else.
function say(target, children) {
  const text = children.map((child) => child.textContent ?? child).join('\u0000');
  if (target.said === text) return;
  target.said = text;
  target.replaceChildren(...children);
}

const tabs = new Map();
const members = new Map();
const days = new Map();

function draw() {
  if (current && document.visibilityState === 'visible') current.markRead();
  drawLog();
  const all = [...conversations.values()];
  const unread = all.reduce((sum, conversation) => sum + conversation.unread, 0);
  setText(find('.news'), unread ? String(unread) : '');
  setText(find('.as'), me.name);
  document.title = `${unread ? `(${unread}) ` : ''}${texts.title} · Sockeye`;
  arrange(find('.conversations'), kept(tabs, all, ({ key }) => key, makeTab, fillTab));
  drawTitle();
  drawPeople();
  if (mustReveal) tabs.get(current?.key)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  mustReveal = false;
  if (isAtEnd) find('.log').scrollTop = find('.log').scrollHeight;
}

function makeTab(key) {
  const button = element('button', { type: 'button' });
  button.addEventListener('click', () => {
    complain('.join');
    turnTo(conversations.get(key));
    // On a phone the list is gone, and the button with it.
    if (!button.checkVisibility()) find('.back').focus();
  });
  return element('li', {}, button);
}

function fillTab(tab, conversation) {
  const { isRoom, title, unread } = conversation;
  const button = tab.firstElementChild;
  button.setAttribute('aria-current', String(conversation === current));
  say(button, [
    element('span', { className: 'kind', textContent: isRoom ? '#' : '@', ariaHidden: 'true' }),
    element('span', { className: 'hidden', textContent: `${isRoom ? texts.room : texts.privateChat} ` }),
    element('span', {}, ...(isRoom ? [element('bdi', { textContent: title })] : person(title, conversation.address))),
    ...(unread ? [element('b', { className: 'unread', textContent: unread, ariaHidden: 'true' }), element('span', { className: 'hidden', textContent: texts.unread(unread) })] : []),
  ]);
}

function drawTitle() {
  const title = !current ? [texts.nowhereTitle] : current.isRoom ? ['# ', element('bdi', { textContent: current.title })] : [texts.privately[0], ...person(current.title, current.address), texts.privately[1]];
  say(find('#talk-title'), title);
  find('.leave').hidden = !current;
  setText(find('.leave'), current?.isRoom ? texts.leave : texts.close);
  find('.compose').hidden = !current;
  find('.log').dataset.empty = current ? texts.empty : texts.nowhere;
}

// Of the room; without a conversation, of the whole chat.
function drawPeople() {
  const { people, count } = current ?? everybody;
  find('aside').hidden = current !== null && !current.isRoom;
  setText(find('.whose'), current ? texts.people : texts.everybody);
  setText(find('.count'), String(count));
  arrange(find('.people'), kept(members, people, ({ address }) => (address === me.address ? 'me' : address), makeMember, fillMember));
}

function makeMember(key) {
  if (key === 'me') return element('li', {}, element('span'));
  const button = element('button', { type: 'button' });
  button.addEventListener('click', () => {
    turnTo(open(`p:${key}`, names.get(key)));
    find('.compose .text').focus();
  });
  return element('li', {}, button);
}

function fillMember(member, { address, name }) {
  say(member.firstElementChild, [...person(name, address), ...(address === me.address ? [texts.me] : [])]);
}

function drawLog() {
  const lines = current?.lines ?? [];
  const list = find('.log ol');
  const fresh = lines.filter((line) => !drawn.has(line)).length;
  find('.log').ariaLive = fresh > LOUD_MAX ? 'off' : 'polite';
  arrange(list, withDays(lines));
  const last = lines.at(-1) ?? null;
  if (last !== lastLine && last?.mine) isAtEnd = true;
  if (last !== lastLine && !isAtEnd) hasNewer = true;
  lastLine = last;
  find('.newer').hidden = !hasNewer || isAtEnd;
}

// The lines, and the day wherever it changes; today's have none before them.
function withDays(lines) {
  let day = new Date().toDateString();
  return lines.flatMap((line) => {
    const made = lineElement(line);
    const date = new Date(line.time);
    if (date.toDateString() === day) return [made];
    day = date.toDateString();
    if (!days.has(day)) days.set(day, element('li', { className: 'note day', textContent: date.toLocaleDateString(texts.lang, { dateStyle: 'full' }) }));
    return [days.get(day), made];
  });
}

function lineElement(line) {
  let made = drawn.get(line);
  if (made && !line.isStale) return made;
  if (!made) drawn.set(line, (made = element('li')));
  line.isStale = false;
  fillLine(made, line);
  return made;
}

function fillLine(made, line) {
  if (line.note) {
    const { key, values } = line.note;
    made.className = `note ${key}`;
    const shown = key === 'problem' ? values.map(reason) : values;
    made.replaceChildren(typeof texts[key] === 'function' ? texts[key](...shown) : texts[key]);
    return;
  }
  made.className = line.mine ? 'mine' : 'theirs';
  made.classList.toggle('pending', line.state === 'pending');
  made.classList.toggle('failed', Boolean(line.state?.failed));
  const remark = stateOf(line);
  made.replaceChildren(
    element('b', {}, ...(line.mine ? [texts.you] : person(line.name, line.address))),
    element('time', { textContent: when(new Date(line.time)), title: new Date(line.time).toLocaleString(texts.lang) }),
    element('span', { className: 'text', dir: 'auto' }, ...linked(line.text)),
    ...(remark ? [element('em', { textContent: remark })] : []),
  );
}

function stateOf({ state, receiver }) {
  if (state?.failed) return texts.failed(reason(state.failed));
  if (state === 'waits') return texts.waits(receiver);
  return state === 'sent' ? '' : texts[state];
}

// The text with its web addresses as links.
function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'，。；！？、（）「」《》]+/g)) {
    const address = match[0].replace(/[.,;:!?)\]}]+$/, '');
    if (!URL.canParse(address)) continue;
    parts.push(text.slice(end, match.index), element('a', { href: address, textContent: address, target: '_blank', rel: 'noopener noreferrer' }));
    end = match.index + address.length;
  }
  return [...parts, text.slice(end)];
}

function speak(language) {
  translate(language);
  drawn = new WeakMap();
  days.clear();
  complaints.forEach((describe, form) => complain(form, describe));
  state(shownState);
  changed();
}
