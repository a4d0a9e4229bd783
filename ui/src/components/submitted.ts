import type { FormEvent } from "react";

/** Hands a form's fields on. `action` would also empty the fields, whether they were taken or not. */
export function submitted(run: (fields: FormData) => unknown) {
  return (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void run(new FormData(event.currentTarget));
  };
}
