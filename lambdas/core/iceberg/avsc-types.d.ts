// avsc's documented entry for its types alone: without its RPC services, IDL parser and file streams. It comes without declarations.

declare module "avsc/etc/browser/avsc-types.js" {
  import type { Type, types } from "avsc";

  const avsc: { readonly Type: typeof Type; readonly types: typeof types };
  export default avsc;
}
