// What is stored may be damaged, or of another version of the page.
function rememberedJson(key) {
  try {
    return JSON.parse(remembered(null, key));
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
