// Logs an error and goes on.
console.log("before");
console.log(new RangeError("too far"));
console.log("after");
