// As much of JSON as a question of one number needs.

/**
 * The number under a name in an object such as `{"height": 7}`, or -1 if the
 * object is empty. Anything else ends the call with a message.
 */
export function number(question: string, name: string): i64 {
  let text = "";
  for (let i = 0; i < question.length; i++) {
    const c = question.charCodeAt(i);
    if (c != 0x20 && c != 0x09 && c != 0x0a && c != 0x0d) text += question.charAt(i);
  }
  if (text == "{}" || text == "") return -1;
  const start = '{"' + name + '":';
  if (!text.startsWith(start) || !text.endsWith("}")) throw new Error('want {"' + name + '": number}, not ' + question);
  const digits = text.slice(start.length, text.length - 1);
  if (digits.length == 0 || digits.length > 10) throw new Error("not a height: " + digits);
  for (let i = 0; i < digits.length; i++) {
    const c = digits.charCodeAt(i);
    if (c < 0x30 || c > 0x39) throw new Error("not a height: " + digits);
  }
  return I64.parseInt(digits);
}
