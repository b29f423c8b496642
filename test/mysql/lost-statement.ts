import { argv } from 'node:process'
import { z } from 'zod'
import { messageOf } from '../../model/errors.ts'
import { MysqlConnection } from '../../mysql/admin/admin.ts'

/** A process with nothing left to do once its statement has failed. */
const [, , socketPath = ''] = argv
const connection = await MysqlConnection.connect({ socketPath }, { user: 'tabletkeeper' })
await connection.query('SELECT SLEEP(100)', z.unknown()).catch((error: unknown) => console.log(messageOf(error)))
