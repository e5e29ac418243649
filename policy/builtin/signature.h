/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A notation for signatures: FN2(T_STRING, T_ARRAY(T_ANY), T_NUMBER) is the compact JSON that OPA's
 * capabilities file gives as "decl" for a function of a string and an array that returns a number.
 * Source: OPA v1/types (JSON form of types), `opa capabilities --current`.
 */
#ifndef RG_POLICY_BUILTIN_SIGNATURE_H
#define RG_POLICY_BUILTIN_SIGNATURE_H

#define T_ANY		 "{\"type\":\"any\"}"
#define T_NULL		 "{\"type\":\"null\"}"
#define T_BOOLEAN	 "{\"type\":\"boolean\"}"
#define T_NUMBER	 "{\"type\":\"number\"}"
#define T_STRING	 "{\"type\":\"string\"}"
#define T_ARRAY(element) "{\"dynamic\":" element ",\"type\":\"array\"}"
#define T_SET(member)	 "{\"of\":" member ",\"type\":\"set\"}"
#define T_OBJECT(key, value)                                                                       \
	"{\"dynamic\":{\"key\":" key ",\"value\":" value "},\"type\":\"object\"}"

/* A union of types, and an array of fixed length. OF1..OF4 list their parts. */
#define T_UNION(parts)	      "{\"of\":[" parts "],\"type\":\"any\"}"
#define T_TUPLE(parts)	      "{\"static\":[" parts "],\"type\":\"array\"}"
#define OF2(a, b)	      a "," b
#define OF3(a, b, c)	      a "," b "," c
#define OF4(a, b, c, d)	      a "," b "," c "," d
#define OF6(a, b, c, d, e, f) a "," b "," c "," d "," e "," f

/* An object with fixed keys: T_RECORD(KEY("op", T_STRING) "," KEY("path", T_ANY)), and the same
 * with other keys too. */
#define KEY(name, type) "{\"key\":\"" name "\",\"value\":" type "}"
#define T_RECORD(keys)	"{\"static\":[" keys "],\"type\":\"object\"}"
#define T_RECORD_AND(keys, key, value)                                                             \
	"{\"dynamic\":{\"key\":" key ",\"value\":" value "},\"static\":[" keys                     \
	"],\"type\":\"object\"}"

#define FN0(result)	  "{\"result\":" result ",\"type\":\"function\"}"
#define FN1(a, result)	  "{\"args\":[" a "],\"result\":" result ",\"type\":\"function\"}"
#define FN2(a, b, result) "{\"args\":[" a "," b "],\"result\":" result ",\"type\":\"function\"}"
#define FN3(a, b, c, result)                                                                       \
	"{\"args\":[" a "," b "," c "],\"result\":" result ",\"type\":\"function\"}"
#define FN4(a, b, c, d, result)                                                                    \
	"{\"args\":[" a "," b "," c "," d "],\"result\":" result ",\"type\":\"function\"}"
#define FN1_VOID(a)  "{\"args\":[" a "],\"type\":\"function\"}"

#define T_LIST	     T_UNION(OF2(T_ARRAY(T_ANY), T_SET(T_ANY)))
#define T_ANY_OBJECT T_OBJECT(T_ANY, T_ANY)
#define T_COLLECTION T_UNION(OF3(T_ARRAY(T_ANY), T_OBJECT(T_ANY, T_ANY), T_SET(T_ANY)))

#endif
