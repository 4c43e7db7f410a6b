import { Annotation, END, START, StateGraph } from '@langchain/langgraph';

const graph = new StateGraph(Annotation.Root({ text: Annotation() }))
  .addNode('greet', async ({ text }) => ({ text: `hello ${text}` }))
  .addEdge(START, 'greet')
  .addEdge('greet', END)
  .compile();
const output = await graph.invoke({ text: 'world' });
process.exitCode = output.text === 'hello world' ? 0 : 1;
