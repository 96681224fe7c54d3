// The functions of the host (docs/abi.md). The compiler leaves out those that a guest never calls, so
// a guest imports the module `metashrew` only if it reads many keys at once or ranges.
//
// A pointer names an ArrayBuffer's first byte; the runtime keeps the length in the four bytes before
// it, as the host expects.

@external("env", "__host_len")
export declare function inputLength(): i32;
@external("env", "__load_input")
export declare function loadInput(buffer: ArrayBuffer): void;
@external("env", "__get_len")
export declare function valueLength(key: ArrayBuffer): i32;
@external("env", "__get")
export declare function loadValue(key: ArrayBuffer, value: ArrayBuffer): void;
@external("env", "__flush")
export declare function flushMessage(message: ArrayBuffer): void;
@external("env", "__log")
export declare function logText(text: ArrayBuffer): void;

@external("metashrew", "read_many")
export declare function readKeys(keys: ArrayBuffer): i32;
@external("metashrew", "read_range")
export declare function readRange(request: ArrayBuffer): i32;
@external("metashrew", "load_answer")
export declare function loadAnswer(buffer: ArrayBuffer): void;
