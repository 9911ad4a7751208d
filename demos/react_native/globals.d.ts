/** What Hermes has since React Native 0.74, and React Native's types do not declare. */
declare class TextEncoder {
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}
