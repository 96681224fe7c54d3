// What a guest needs: the call, the state, blocks, and answers.

export { Input, Answer, log, __metashrew_begin, __metashrew_error } from "./call";
export { get, set, flush, readMany } from "./state";
export { Pointer } from "./pointer";
export { Range, Page, Entry } from "./range";
export { Block, ParseError } from "./block";
export { Transaction, TxInput, TxOutput } from "./transaction";
export { ScriptType, scriptType, Instructions } from "./script";
export { JsonObject, JsonWriter } from "./json";
export { Meta } from "./meta";
export { sha256, sha256d } from "./sha256";
export * from "./bytes";
