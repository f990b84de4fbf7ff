// Drives a server by the official client of the extension for tasks; `sdk_tasks.py` starts it with the
// folder of its modules, the table of scenarios, and the server: its address (with KEY, and OTHER of
// another caller) or the command that speaks MCP on its standard input. A line for each check; the last
// one is a JSON object of the counts.
//
// Surprising: at 2026-07-28 the package sends nothing itself, its host does. Here the host is the official
// client's own transport, past that client, which refuses results that are tasks.

import { pathToFileURL } from 'node:url';
import { TABLES, text } from './sdk_tasks_table.mjs';

const [modules, which, ...server] = process.argv.slice(2);
const { KEY: key, OTHER: other } = process.env;
const load = (path) => import(pathToFileURL(`${modules}/node_modules/@modelcontextprotocol/${path}`));
const sdk = await load('client/dist/index.mjs');
const { StdioClientTransport } = await load('client/dist/stdio.mjs');
const tasks = await load('ext-tasks/dist/client/index.js');

const ERA = '2026-07-28';
const EXTENSION = 'io.modelcontextprotocol/tasks';
const DECLARED = { extensions: { [EXTENSION]: {} } };
const INFO = { name: 'judge', version: '1' };
const ABLE = { elicitation: { form: {} } };
const OVER_HTTP = server[0].startsWith('http');
const BOUND = 60_000; // milliseconds for a check, and for a request
const PATIENCE = 20_000; // milliseconds for what comes about by and by

const table = TABLES[which];

let passed = 0, failed = 0, names = 0;

async function check(what, ...needs) {
  const run = needs.pop();
  if (needs.some((it) => !it)) return;
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error(`no end within ${BOUND / 1000} s`)), BOUND); });
  try {
    await Promise.race([run(), late]);
    passed += 1;
    console.log(`ok    ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${what}: ${String(error?.message ?? error).replace(/\s+/g, ' ').slice(0, 600)}`);
  } finally {
    clearTimeout(timer);
  }
}

function expect(truth, otherwise) {
  if (!truth) throw new Error(typeof otherwise === 'string' ? otherwise : JSON.stringify(otherwise));
}

const pause = (time) => new Promise((go) => setTimeout(go, time));
const made = (row) => {
  const name = `judge-${++names}`;
  return { name, args: row.args?.(name) ?? {} };
};

/** Asks until the answer is `true`; the last answer is what was wrong. */
async function until(ask) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const said = await ask();
    if (said === true) return;
    if (Date.now() > end) throw new Error(String(said));
    await pause(200);
  }
}

// ---- A connection: the official client, and beside it requests that it would not send.

class Wire {
  constructor(transport) {
    Object.assign(this, { transport, waiting: new Map(), count: 0, told: [], acknowledged: [], sent: [] });
    const theirs = transport.onmessage;
    transport.onmessage = (message, extra) => {
      if (message.method === 'notifications/tasks') this.told.push(message.params);
      if (message.method === 'notifications/subscriptions/acknowledged') this.acknowledged.push(message.params);
      const mine = message.method === undefined && this.waiting.get(message.id);
      return mine ? mine(message) : theirs(message, extra);
    };
  }

  /** A request as the package wants it sent: an error of the protocol is an answer, too. */
  dispatch = (request, { signal, context } = {}) => new Promise((resolve, reject) => {
    const id = `task:${++this.count}`; // the client's own are numbers
    const leave = (what, value) => {
      clearTimeout(timer);
      this.waiting.delete(id);
      signal?.removeEventListener('abort', gone);
      what(value);
    };
    const gone = () => {
      leave(reject, signal.reason);
      if (OVER_HTTP) return;
      const params = { requestId: id, reason: 'given up' };
      this.transport.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params }).catch(() => {});
    };
    const timer = setTimeout(() => leave(reject, new Error(`no answer to ${request.method}`)), BOUND);
    if (signal?.aborted) return leave(reject, signal.reason);
    signal?.addEventListener('abort', gone, { once: true });
    this.waiting.set(id, ({ error, result }) => leave(resolve, error ? { kind: 'error', error } : { kind: 'result', result }));
    this.sent.push(request.method);
    const message = { jsonrpc: '2.0', id, method: request.method, params: request.params };
    this.transport.send(message, { requestSignal: signal, headers: context?.headers }).catch((error) => leave(reject, error));
  });

  /** One that declares no more than these capabilities. */
  plainly(method, params, capabilities = {}) {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': ERA,
      'io.modelcontextprotocol/clientInfo': INFO,
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    };
    return this.dispatch({ method, params: { ...params, _meta } });
  }
}

async function connect({ capabilities, as = key }) {
  const client = new sdk.Client(INFO, { capabilities, versionNegotiation: { mode: { pin: ERA } } });
  client.onerror = () => {}; // every check sees its own
  const headers = as ? { Authorization: `Bearer ${as}` } : {};
  const transport = OVER_HTTP
    ? new sdk.StreamableHTTPClientTransport(new URL(server[0]), { requestInit: { headers } })
    : new StdioClientTransport({ command: server[0], args: server.slice(1), env: process.env, stderr: 'ignore' });
  await client.connect(transport, { timeout: BOUND });
  const wire = new Wire(transport);
  const plain = async (name, args) => {
    const said = await wire.plainly('tools/call', { name, arguments: args });
    expect(said.kind === 'result', said.error);
    return said.result;
  };
  return { client, wire, plain };
}

/** With a session of the package; `answer` makes what a person answers, `asked` keeps the questions. */
async function within(run, { answer, able = ABLE, ...how } = {}) {
  const link = await connect({ capabilities: { ...able, ...DECLARED }, ...how });
  const asked = [], noise = [];
  const person = async ({ kind, params }, { scope }) => {
    asked.push({ kind, scope, message: params.message });
    if (answer !== 'accept') return { action: answer };
    const wanted = Object.entries(params.requestedSchema.properties ?? {});
    return { action: 'accept', content: Object.fromEntries(wanted.map(([name, it]) => [name, it.type === 'boolean' || 'Ada'])) };
  };
  const session = () => tasks.createTaskSessionFromClient(link.client, {
    endpointId: 'judge',
    rawDispatch: link.wire.dispatch,
    v2RequestFraming: { protocolVersion: ERA, clientInfo: INFO, clientCapabilities: able },
    onError: (error) => noise.push(error.message),
    ...(answer ? { onInputRequest: person } : {}),
  });
  const first = session();
  try {
    await run({ ...link, session: first, another: session, asked, noise });
    expect(!noise.length, `the package complains: ${noise[0]}`);
  } finally {
    await first.close();
    await link.client.close();
  }
}

/** Begins what must become a task. */
async function begun(session, row, options) {
  const { name, args } = made(row);
  const execution = await session.callTool(row.tool, args, options);
  if (execution.kind !== 'task') throw new Error(`${row.tool} was answered at once: ${text((await execution.result()).result)}`);
  return { name, args, execution, id: execution.handle.taskId };
}

/** Its outcome, and all that was told of it on the way. */
async function settled(execution) {
  const views = [];
  const { outcome } = await execution.settle({ onEvent: (it) => { if (it.type === 'task') views.push(it.task); } });
  return { outcome, views, statuses: views.map((it) => it.status) };
}

function completed(outcome, row, isError = false) {
  expect(outcome.status === 'completed', `it is ${outcome.status}: ${outcome.error?.code ?? ''} ${outcome.error?.message ?? ''}`);
  expect(Boolean(outcome.result.isError) === isError, text(outcome.result));
  if (row.says) expect(row.says.test(text(outcome.result)), `it says ${text(outcome.result)}`);
  return outcome.result;
}

async function refusal(promise, code) {
  const error = await promise.then((it) => ({ message: `an answer: ${JSON.stringify(it)}` }), (it) => it);
  expect(error.code === code, `${error.code} ${error.message}`);
}

/** Until the server, too, says that it is cancelled. */
const over = (session, id) => until(async () => {
  const { status } = await session.task(id).snapshot();
  return status === 'cancelled' || `it is ${status}`;
});

async function effect(row, plain, name, which = 'effect') {
  if (row[which]) await until(() => row[which](plain, name));
}

// ---- The checks.

await check('the extension is offered, and every tool can be read', () => within(async ({ client, session }) => {
  expect(session.capabilities.execution && session.capabilities.inputResponses, session.capabilities);
  const offered = client.getServerCapabilities().extensions[EXTENSION];
  expect(JSON.stringify(offered) === '{}', offered);
}));

await check('a quick call is answered at once', table.quick, () => within(async ({ session }) => {
  const execution = await session.callTool(table.quick.tool, made(table.quick).args);
  expect(execution.kind === 'immediate', execution.kind);
  completed(await execution.result(), table.quick);
}));

await check('a call that is refused is an error of its own', () => within(async ({ session }) => {
  await refusal(session.callTool('no_such_tool', {}), -32602);
}));

// Of a result what must be the same, however it was asked for.
const same = ({ _meta, resultType, ...it }, own) => JSON.stringify(Object.entries(it).sort())
  .replaceAll(own, 'NAME').replace(/"id":"\d+"|id \d+/g, 'ID');
let said;

await check('a slow call becomes a task and is polled to its end; what it does is told meanwhile', () => within(async ({ session, wire }) => {
  const row = table.slow;
  const { execution, id, name } = await begun(session, row);
  const { outcome, views, statuses } = await settled(execution);
  const result = completed(outcome, row);
  said = same(result, name);
  expect(statuses[0] === 'working' && statuses.at(-1) === 'completed', statuses);
  expect(views.every((it) => it.taskId === id && it.createdAt === views[0].createdAt), views);
  expect(views.every((it) => Date.parse(it.lastUpdatedAt) >= Date.parse(it.createdAt)), views);
  expect(wire.sent.includes('tasks/get'), wire.sent);
  const told = views.filter((it) => it.status === 'working').map((it) => it.statusMessage ?? '');
  if (row.tells) expect(told.some((it) => row.tells.test(it)), told);
  // Kept for who asks once more.
  expect(same(completed(await session.task(id).result(), row), name) === said, 'it says something else later');
}));

await check('a tool that fails is completed, with isError', table.fails, () => within(async ({ session }) => {
  const { outcome, statuses } = await settled((await begun(session, table.fails)).execution);
  completed(outcome, table.fails, true);
  expect(statuses.at(-1) === 'completed', statuses);
}));

await check('several at once, each with its own', table.fails, () => within(async ({ session }) => {
  const all = await Promise.all([1, 2, 3, 4].map(() => begun(session, table.fails)));
  expect(new Set(all.map((it) => it.id)).size === 4, all.map((it) => it.id));
  for (const { outcome } of await Promise.all(all.map((it) => settled(it.execution)))) completed(outcome, table.fails, true);
}));

await check('an error of the protocol is failed, with its code', table.breaks, () => within(async ({ session }) => {
  const { outcome } = await settled((await begun(session, table.breaks)).execution);
  expect(outcome.status === 'failed' && outcome.error.code === table.breaks.code, outcome.error?.message ?? outcome);
}));

await check('cancelled: it is over at the server, and what it did is undone', table.long, () => within(async ({ session, plain }) => {
  const { execution, id, name } = await begun(session, table.long);
  await execution.cancel();
  expect((await execution.result()).status === 'cancelled', 'the package does not think so');
  await over(session, id);
  await session.task(id).cancel(); // once more does no harm
  await effect(table.long, plain, name, 'undone');
  await effect(table.long, plain, name, 'cancelled');
}));

for (const row of table.others ?? []) {
  await check(`${row.tool}: to its end`, () => within(async ({ session, plain }) => {
    const { execution, name } = await begun(session, row);
    completed((await settled(execution)).outcome, row);
    await effect(row, plain, name);
  }));
  await check(`${row.tool}: cancelled`, () => within(async ({ session, plain }) => {
    const { execution, id, name } = await begun(session, row);
    await execution.cancel();
    await over(session, id);
    await pause(row.lasts ?? 0);
    await effect(row, plain, name, 'undone');
  }));
}

await check('given up before the answer: what began is undone', table.long?.undone, () => within(async ({ session, plain }) => {
  const { name, args } = made(table.long);
  const gone = new AbortController();
  setTimeout(() => gone.abort(new Error('given up')), 500);
  const ended = await session.callTool(table.long.tool, args, { signal: gone.signal }).then((it) => it.kind, (it) => it.message);
  expect(ended === 'given up', ended);
  await pause(8000); // longer than all of it takes
  await effect(table.long, plain, name, 'undone');
}));

await check('a session that closes cancels what it began', table.long, () => within(async ({ session, another, plain }) => {
  const { id, name } = await begun(session, table.long);
  await session.close();
  const next = another();
  await over(next, id);
  await effect(table.long, plain, name, 'undone');
  await next.close();
}));

await check('what one connection begins, another takes up', async () => {
  let reference;
  const resume = async (session) => {
    const { outcome } = await settled(await session.resumeTask(reference));
    completed(outcome, table.slow);
  };
  await within(async ({ session, another }) => {
    const { execution } = await begun(session, table.slow);
    await execution.handoff(async (it) => { reference = it; });
    await execution.result(); // the package cancels what has not noticed yet that it was let go
    if (OVER_HTTP) return;
    await session.close(); // over stdio there is one process, and one connection
    const next = another();
    await resume(next);
    await next.close();
  });
  if (OVER_HTTP) await within(async ({ session }) => resume(session));
});

for (const answer of ['decline', 'accept']) {
  await check(`asked while it runs, and the person says ${answer}`, table.asks, () => within(async ({ session, asked }) => {
    const { outcome, statuses } = await settled((await begun(session, table.asks)).execution);
    expect(asked.length === 1 && asked[0].kind === 'elicitation' && asked[0].scope === 'task', asked);
    expect(table.asks.question.test(asked[0].message), asked);
    expect(statuses.includes('input_required'), statuses);
    completed(outcome, table.asks);
  }, { answer }));
}

await check('a question stays the same until it has its answer, whatever else is said', table.asks, () => within(async ({ session }) => {
  const { execution, id } = await begun(session, table.asks);
  await execution.detach();
  const task = session.task(id);
  let question;
  await until(async () => {
    const { status, raw } = await task.snapshot();
    question = JSON.stringify(raw.inputRequests);
    return status === 'input_required' || `it is ${status}`;
  });
  await task.update({ 'never-asked': { action: 'accept', content: {} } });
  const { status, raw } = await task.snapshot();
  expect(status === 'input_required' && JSON.stringify(raw.inputRequests) === question, `${status} ${JSON.stringify(raw)}`);
  await task.update(Object.fromEntries(Object.keys(raw.inputRequests).map((it) => [it, { action: 'cancel' }])));
  completed(await task.result(), table.asks);
}));

// What is asked before the deed belongs to the call, however long its plan takes: it is no task before that.
const agreement = async ({ session }) => {
  const { name, args } = made(table.agrees);
  const { outcome } = await settled(await session.callTool(table.agrees.tool, args));
  return { name, outcome };
};

await check('nobody there to be asked: nothing happens', table.agrees, () => within(async (link) => {
  const ended = await agreement(link).then((it) => text(it.outcome.result), (error) => error.message);
  expect(/requires input/.test(ended), ended); // the package's own word
  await effect(table.agrees, link.plain, '', 'declined');
}));

await check('who cannot be asked is told how else', table.agrees, () => within(async (link) => {
  completed((await agreement(link)).outcome, { says: table.agrees.without });
  await effect(table.agrees, link.plain, '', 'declined');
}, { able: {} }));

for (const answer of ['decline', 'accept']) {
  await check(`asked after a slow plan, and the person says ${answer}`, table.agrees, () => within(async (link) => {
    const { outcome, name } = await agreement(link);
    expect(link.asked.length === 1 && link.asked[0].scope === 'request', link.asked);
    expect(table.agrees.question.test(link.asked[0].message), link.asked);
    completed(outcome, answer === 'decline' ? {} : table.agrees, answer === 'decline');
    await effect(table.agrees, link.plain, name, answer === 'decline' ? 'declined' : 'effect');
  }, { answer }));
}

await check('two questions at once', table.asksTwo, () => within(async ({ session, asked }) => {
  const { outcome } = await settled((await begun(session, table.asksTwo)).execution);
  completed(outcome, table.asksTwo);
  expect(asked.length === 2 && asked.every((it) => table.asksTwo.question.test(it.message)), asked);
}, { answer: 'accept' }));

await check('asked before it begins, then a task', table.asksFirst, () => within(async ({ session, asked }) => {
  const { execution } = await begun(session, table.asksFirst);
  expect(asked.length === 1 && asked[0].scope === 'request' && table.asksFirst.question.test(asked[0].message), asked);
  completed((await settled(execution)).outcome, table.asksFirst);
}, { answer: 'accept' }));

await check('ids that nobody has', () => within(async ({ session }) => {
  for (const id of ['no-such-task', '', 'ünï "code" %41\n', 'x'.repeat(5000)]) {
    const task = session.task(id);
    await refusal(task.snapshot(), -32602);
    await refusal(task.cancel(), -32602);
    await refusal(task.update({ approve: { action: 'accept', content: { approve: true } } }), -32602);
  }
}));

await check('ids of another caller', table.long, other, () => within(async ({ session }) => {
  const { execution, id } = await begun(session, table.long);
  await within(async ({ session: theirs }) => {
    const task = theirs.task(id);
    await refusal(task.snapshot(), -32602);
    await refusal(task.cancel(), -32602);
    await refusal(task.update({ approve: { action: 'accept', content: { approve: true } } }), -32602);
  }, { as: other });
  const { status } = await session.task(id).snapshot();
  expect(status === 'working', `it is ${status} now`);
  await execution.cancel();
}));

await check('who does not declare it gets the same result at once, and nothing of tasks', async () => {
  const { client, wire } = await connect({ capabilities: ABLE });
  const { name, args } = made(table.slow);
  const result = await client.callTool({ name: table.slow.tool, arguments: args }, { timeout: BOUND });
  expect(same(completed({ status: 'completed', result }, table.slow), name) === said, `${same(result, name)} but as a task ${said}`);
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel']) {
    const { error } = await wire.plainly(method, { taskId: 'x', ...(method === 'tasks/update' ? { inputResponses: {} } : {}) });
    expect(error?.code === -32021, error ?? 'an answer');
    expect(error.data?.requiredCapabilities?.extensions?.[EXTENSION], error);
  }
  await client.close();
});

await check('told by notifications, as much as by asking', table.told, () => within(async ({ session, client, wire }) => {
  const { execution, id } = await begun(session, table.told);
  const stream = await client.listen({ taskIds: [id, 'no-such-task'] }, { timeout: BOUND });
  expect(JSON.stringify(wire.acknowledged.at(-1)?.notifications?.taskIds) === JSON.stringify([id]), wire.acknowledged);
  completed((await settled(execution)).outcome, table.told);
  await until(() => wire.told.at(-1)?.status === 'completed' || `told of ${JSON.stringify(wire.told).slice(0, 300)}`);
  expect(wire.told.every((it) => it.taskId === id), wire.told);
  const { _meta: _one, ...told } = wire.told.at(-1);
  const { _meta: _two, resultType: _three, ...asked } = (await session.task(id).snapshot()).raw;
  const sorted = (it) => JSON.stringify(Object.entries(it).sort());
  expect(sorted(told) === sorted(asked), `${sorted(told)} but asked ${sorted(asked)}`);
  await stream.close();
}));

await check('told nothing without declaring it', table.told, async () => {
  const { client } = await connect({ capabilities: ABLE });
  await refusal(client.listen({ taskIds: ['x'] }, { timeout: BOUND }), -32021);
  await client.close();
});

await check('one is left running for the end of the server', table.long, () => within(async ({ session }) => {
  const { execution } = await begun(session, table.long);
  await execution.detach();
  await execution.result();
}));

console.log(JSON.stringify({ passed, failed }));
process.exit(0);
