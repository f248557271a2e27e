/** `Symbol.asyncDispose`, also where the platform does not know it yet; compilers' helpers look for the same symbol. */
export const asyncDispose: typeof Symbol.asyncDispose = (Symbol.asyncDispose ??
  Symbol.for("Symbol.asyncDispose")) as typeof Symbol.asyncDispose;
