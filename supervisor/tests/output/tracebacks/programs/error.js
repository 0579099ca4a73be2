// An error that nobody catches, with a cause and properties.
function open(name) {
  const error = new Error(`cannot open ${name}`, { cause: new TypeError("no such name") });
  error.code = "E_OPEN";
  throw error;
}

open("x");
