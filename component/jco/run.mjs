// Runs a composed command transpiled by jco, with host directories as its preopens:
//
//   node run.mjs app/app.js /base=rootfs /changes=changes -- ARGUMENTS
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";
import { _setArgs } from "@bytecodealliance/preview2-shim/cli";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";

const [app, ...rest] = process.argv.slice(2);
const end = rest.indexOf("--");
const preopens = rest.slice(0, end).map((spec) => spec.split("="));
_setPreopens(Object.fromEntries(preopens));
_setArgs([app, ...rest.slice(end + 1)]);

const { run } = await import(pathToFileURL(resolve(app)));
run.run();
