// HTML in which everything that is inserted is escaped, unless it is HTML already. Nothing and `false` are left out.

class Html {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function html(strings, ...values) {
  return new Html(strings.reduce((text, part, index) => text + insert(values[index - 1]) + part));
}

// For markup that a library has made.
export const trusted = (text) => new Html(text);

function insert(value) {
  if (value instanceof Html) {
    return value.text;
  }
  return (value === false ? '' : String(value ?? '')).replace(/[&<>"']/g, (character) => ESCAPES[character]);
}
