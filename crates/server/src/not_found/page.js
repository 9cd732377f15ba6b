function speak(language) {
  translate(language);
  document.title = `${texts.title} · Sockeye`;
}

speak(chosenLanguage());
offerLanguages(speak);
