import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { Library } from "./library/Library";
import "./ui/page.css";
import { usePath } from "./ui/route";

// The player is most of the code: it is loaded when somebody watches.
const Watch = lazy(() => import("./watch/Watch").then((module) => ({ default: module.Watch })));

function App() {
  const id = /^\/watch\/([0-9a-f-]{36})$/.exec(usePath())?.[1];
  return id ? <Suspense><Watch key={id} id={id} /></Suspense> : <Library />;
}

const root = document.getElementById("app");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
