// Addresses of the page: `/` and `/watch/{id}`.
import { useSyncExternalStore, type AnchorHTMLAttributes } from "react";

const moved = "vidstream:moved";

export function go(to: string) {
  history.pushState(null, "", to);
  dispatchEvent(new Event(moved));
}

function subscribe(listener: () => void) {
  addEventListener("popstate", listener);
  addEventListener(moved, listener);
  return () => {
    removeEventListener("popstate", listener);
    removeEventListener(moved, listener);
  };
}

/** The present path. */
export const usePath = () => useSyncExternalStore(subscribe, () => location.pathname);

/** A link that does not load the page anew. */
export function Link({ to, ...rest }: { to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  return (
    <a href={to} {...rest} onClick={(event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      go(to);
    }} />
  );
}
