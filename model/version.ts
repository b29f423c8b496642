/** Version of tabletkeeper, as package.json has it (a test compares them): stored with every backup. */
export const VERSION = '0.1.0'
