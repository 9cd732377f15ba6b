// The server's figures, every second, over a WebSocket of the page's own.
const live = {
  start() {
    this.retry = new Reconnection({
      connect: () => this.connect(),
      suspend: () => suspend(this.socket),
      lost: () => this.retry.handleClose(),
      changed: () => {},
    });
    this.retry.now();
  },

  connect() {
    const socket = this.socket = new WebSocket(`${ORIGIN}/welcome/ws`);
    socket.onopen = () => {
      this.retry.handleOpen();
      panels[1].askForCode();
    };
    socket.onmessage = ({ data }) => {
      const { event, response } = JSON.parse(data);
      if (event === 'QR_CODE') return panels[1].showCode(response);
      setText(find('.l-sessions'), String(response.sessions));
      setText(find('.l-rate'), String(response.messages_per_s ?? '–'));
      setText(find('.l-uptime'), elapsed(response.uptime_s));
    };
    // After too many codes it stays closed until the page is loaded again.
    socket.onclose = ({ code, reason }) => code === POLICY_VIOLATION ? this.retry.stop() : this.retry.handleClose(reason);
  },

  // Asks for a code that leads a phone to this page, and to this channel.
  ask(channel) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ url: '/welcome/qr-code', fragment: String(new URLSearchParams({ channel })) }));
  },
};

// Hours, minutes, seconds.
function elapsed(seconds) {
  return `${Math.floor(seconds / 3600)}:${minutes(seconds % 3600 * 1000).padStart(5, '0')}`;
}

// How other programs speak to this server. The names of languages are the same in both languages of the page.
const SNIPPETS = {
  terminal: () => `echo hello | sockeye connect ${ORIGIN}/echo`,
  browser: () => `const ws = new WebSocket('${ORIGIN}/echo');\nws.onopen = () => ws.send('hello');\nws.onmessage = ({ data }) => console.log(data);`,
  Python: () => `from websockets.sync.client import connect\n\nwith connect("${ORIGIN}/echo") as ws:\n    ws.send("hello")\n    print(ws.recv())`,
  Go: () => `// import "github.com/coder/websocket"\nws, _, err := websocket.Dial(ctx, "${ORIGIN}/echo", nil)\nerr = ws.Write(ctx, websocket.MessageText, []byte("hello"))\n_, data, err := ws.Read(ctx)\nfmt.Printf("%s\\n", data)`,
  Rust: () => `let mut ws = sockeye::connect("${ORIGIN}/echo").await?;\nws.send("hello").await?;\nprintln!("{:?}", ws.recv().await?);`,
  curl: () => `curl -H 'X-API-Key: KEY' -d '{"channel": "lobby", "data": "hello"}' ${location.origin}/api/publish`,
};
let snippet = 'terminal';

function showSnippet(name) {
  snippet = name;
  find('.snippet').textContent = SNIPPETS[name]();
  find('.tabs').replaceChildren(...Object.keys(SNIPPETS).map((key) => {
    const tab = element('button', { type: 'button', lang: texts[key] ? texts.lang : 'en', textContent: texts[key] ?? key, ariaPressed: String(key === name) });
    tab.addEventListener('click', () => {
      showSnippet(key);
      find('.tabs [aria-pressed=true]').focus();
    });
    return tab;
  }));
  offerCopy(find('.copy'), () => find('.snippet').textContent);
}

function speak(language) {
  translate(language);
  document.title = `Sockeye · ${location.host}`;
  panels.forEach((panel) => panel.translate());
  showSnippet(snippet);
}

function start() {
  const language = chosenLanguage();
  texts = TEXTS[language];
  const asked = channelOfAddress();
  panels.push(new Echo('echo', '/echo'), new Hub('hub', SERVER.hubPath));
  find('.l-version').textContent = SERVER.version;
  speak(language);
  offerLanguages(speak);
  live.start();
  // Not on a phone, whose keyboard would hide the page.
  if (matchMedia('(hover: hover)').matches) panels[asked === null ? 0 : 1].composer.text.focus({ preventScroll: asked === null });
  if (asked !== null) panels[1].root.scrollIntoView();
}

start();
