/** The part of the tr46 library that is used here. */
declare module 'tr46' {
  export interface Options {
    checkBidi?: boolean;
    checkHyphens?: boolean;
    checkJoiners?: boolean;
    verifyDNSLength?: boolean;
    transitionalProcessing?: boolean;
  }
  export function toASCII(domain: string, options?: Options): string | null;
}
