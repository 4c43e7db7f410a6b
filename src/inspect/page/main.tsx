/** Starts the page: the token and what to look at come from the address. */
import { render } from 'preact';
import { App } from './app.tsx';
import { Connection } from './model/connection.ts';
import { Store } from './model/store.ts';
import { viewOfHash } from './model/view.ts';

const token = new URLSearchParams(location.search).get('token') ?? '';
const store = new Store(viewOfHash(location.hash));
store.start(new Connection(token, store));
render(<App store={store} token={token} />, document.body);
