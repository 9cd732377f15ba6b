// One flow of each page in Firefox, which has its own ideas about focus, forms, WebSockets and the clock. Prints the name of
// each flow that has worked.
import puppeteer from "puppeteer-core";

const [executablePath, address] = process.argv.slice(2);
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, acceptInsecureCerts: true, timeout: 120_000 });

// A page in a browser of its own.
async function open(path) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.on("pageerror", (error) => fail(`${path}: ${error}`));
  await page.goto(address + path);
  return page;
}

function fail(message) {
  console.log(`FAILED ${message}`);
  process.exit(1);
}

// The pages allow no eval, so what is asked again and again is asked from here.
async function until(page, script) {
  for (const end = Date.now() + 60_000; !(await page.evaluate(script));) {
    if (Date.now() > end) fail(`not true: ${script}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function type(page, selector, text, key = "Enter") {
  await page.click(selector, { count: 3 });
  await page.type(selector, text);
  await page.keyboard.press(key);
}

const flows = {
  async welcome() {
    const [page, other] = [await open("/?lang=en"), await open("/?lang=zh")];
    await until(page, "document.querySelectorAll('#echo .log .same').length === 1");
    await type(page, "#echo .text", "Grüße, 你好 🐟");
    await until(page, "document.querySelectorAll('#echo .log .same').length === 2");
    await until(page, "/^[0-9.]+ ms$/.test(document.querySelector('#echo .last').textContent)");
    await page.click("#echo .closing summary");
    await page.click("#echo .shut");
    await until(page, "document.querySelector('#echo').dataset.state === 'closed'");
    await page.click("#echo .reconnect");
    await until(page, "document.querySelector('#echo').dataset.state === 'open'");
    await until(page, "document.activeElement.matches('#echo .text')");
    // The hub: publish, who is here, and what is missed while the connection is cut.
    for (const one of [page, other]) await until(one, "document.querySelectorAll('#hub .people li').length === 2");
    await type(page, "#hub .text", "to all");
    await until(other, "document.querySelector('#hub .log').textContent.includes('to all')");
    await other.click("#hub .cut");
    await until(other, "document.querySelector('#hub .log').textContent.includes('已补发 3 条，编号 2 至 4')");
  },

  async chat() {
    const [ann, bob] = [await open("/chat?lang=en"), await open("/chat?lang=zh")];
    for (const [page, name] of [[ann, "Ann"], [bob, "鲍勃"]]) {
      await until(page, "current?.joined === true");
      await type(page, ".me input", name);
      await until(page, `me.name === '${name}'`);
    }
    await type(ann, ".compose .text", "hello");
    await until(bob, "document.querySelector('.log .text')?.textContent === 'hello'");
    await until(ann, "document.querySelector('.people button')?.textContent === '鲍勃'");
    await ann.click(".people button");
    await type(ann, ".compose .text", "between us");
    await until(bob, "document.querySelector('.unread')?.textContent === '1'");
    // Back and forward: the page is connected again, from the cache or anew.
    await ann.goto("about:blank");
    await ann.goBack();
    await until(ann, "document.body?.dataset.state === 'online'");
  },

  async login() {
    const [screen, phone] = [await open("/login?lang=en"), await open("/chat?lang=en")];
    await until(screen, "document.querySelector('main').dataset.state === 'waiting'");
    await phone.goto((await screen.evaluate("document.querySelector('.address').href")));
    await until(phone, "document.querySelector('main').dataset.state === 'asking'");
    await type(phone, ".yes input", "Ann");
    await until(screen, "document.querySelector('main').dataset.state === 'done'");
    await screen.click(".go");
    await until(screen, "typeof me === 'object' && me.name === 'Ann'");
  },
};

for (const [name, flow] of Object.entries(flows)) {
  try {
    await flow();
  } catch (error) {
    fail(`${name}: ${error}`);
  }
  console.log(`${name} works`);
}
await browser.close();
process.exit(0);
