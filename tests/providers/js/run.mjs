// Every case, one after the other: a line for each that holds, and the reasons of those that do not.
import { prove } from "./against.mjs";
import { judging } from "./judging.mjs";
import { signing } from "./signing.mjs";

for (const one of [...signing, ...judging]) {
  try {
    console.log(await prove(one));
  } catch (e) {
    console.error(e.message);
    process.exitCode = 1;
  }
}
