// `import { … } from "@metashrew/as"`.
export * from "./assembly/index";
