// What all pages share. Their texts, in both languages, are `TEXTS`.
const ORIGIN = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;

let texts = TEXTS.en;

// Elements are made, never parsed: what peers send is only ever text.
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function clock(date = new Date()) {
  return date.toLocaleTimeString(texts.lang, { hour12: false });
}

// What the browser keeps for this site; storage may be forbidden, and then it lasts as long as the page.
function remembered(value, key = 'language') {
  try {
    if (value) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // Then there is nothing to forget.
  }
}

function chosenLanguage() {
  const asked = new URLSearchParams(location.search).get('lang') || remembered() || navigator.language;
  return asked.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

// Every text that stands in the markup, in the chosen language.
function translate(language) {
  texts = TEXTS[language];
  document.documentElement.lang = texts.lang;
  for (const item of document.querySelectorAll('[data-text]')) item.textContent = texts[item.dataset.text];
  for (const item of document.querySelectorAll('[data-label]')) item.setAttribute('aria-label', texts[item.dataset.label]);
  for (const item of document.querySelectorAll('[data-hint]')) item.placeholder = texts[item.dataset.hint];
  for (const button of document.querySelectorAll('[data-language]')) button.setAttribute('aria-pressed', String(button.dataset.language === language));
}

function offerLanguages(speak) {
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => {
      remembered(button.dataset.language);
      speak(button.dataset.language);
    });
  }
}
