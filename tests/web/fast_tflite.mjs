// react-native-fast-tflite as demos/react_native uses it, on LiteRT.js: the file's first subgraph, a row of 256, and
// buffers for outputs that every run uses again.
import { readFile } from 'node:fs/promises';

import { startLiteRt } from '../../demos/node/edgedistil.mjs';

const ROW = 256;

export async function loadTensorflowModel({ url }, delegates) {
  if (delegates.length > 0) throw new Error('no delegates here');
  const model = await (await startLiteRt()).load(new Uint8Array(await readFile(new URL(url))));
  const run = async (row) => {
    const { probabilities, unknownScore } = await model.run('classify_text', { text: row });
    // In this order in the file: outputs are sorted by the names that TensorFlow gave them.
    return unknownScore === null ? [probabilities] : [Float32Array.of(unknownScore), probabilities];
  };
  const outputs = await run(new Int32Array(ROW));
  const shape = (output, index) => (index === outputs.length - 1 ? [1, output.length] : [output.length]);
  return {
    inputs: [{ name: 'classify_text_text:0', dataType: 'int32', shape: [ROW] }],
    outputs: outputs.map((output, index) => ({ name: '', dataType: 'float32', shape: shape(output, index) })),
    async run(inputs) {
      // The library does not look at the status of the copy: a buffer of another size is ignored.
      if (inputs.length !== 1 || inputs[0].byteLength !== 4 * ROW) return outputs.map(({ buffer }) => buffer);
      (await run(new Int32Array(inputs[0]))).forEach((values, index) => outputs[index].set(values));
      return outputs.map(({ buffer }) => buffer);
    },
  };
}
