// The `openai` package of npm against the server at argv[2]: prints one JSON object of what it has seen.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "-", maxRetries: 0 });
const model = "exemplar";
const seen = {};

seen.created = (await client.responses.create({ model, input: "Hi" })).output_text;

const raw = await client.responses.create({ model, input: "Hi", stream: true });
seen.types = [];
for await (const event of raw) seen.types.push(event.type);

const helper = client.responses.stream({ model, input: "Hi" });
seen.helped = (await helper.finalResponse()).output_text;

const called = await client.responses.create({ model, input: "call" });
seen.calls = called.output.filter((item) => item.type === "function_call").map((item) => JSON.parse(item.arguments));

const background = await client.responses.create({ model, input: "Hi", background: true, stream: true });
let id;
seen.live = [];
for await (const event of background) {
  if (event.type === "response.created") id = event.response.id;
  seen.live.push(event.sequence_number);
}
seen.replayed = [];
for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: 2 }))
  seen.replayed.push(event.sequence_number);
seen.retrieved = (await client.responses.retrieve(id)).output_text;
seen.inputs = [];
for await (const item of client.responses.inputItems.list(id)) seen.inputs.push(item.type);
await client.responses.delete(id);
seen.deleted = await client.responses.retrieve(id).then(() => "there", (error) => error.status);

const waiting = await client.responses.create({ model, input: "wait", background: true });
seen.cancelled = (await client.responses.cancel(waiting.id)).status;

seen.refused = await client.responses.create({ model, input: "Hi", temperature: 9 }).then(
  () => "taken",
  (error) => [error.status, error.param],
);

// One that leaves in the middle.
const left = await client.responses.create({ model, input: "wait", stream: true });
for await (const event of left) if (event.type === "response.output_text.delta") break;
seen.after = (await client.models.list()).data.map((one) => one.id);

console.log(JSON.stringify(seen));
